"""Trigger words: whether a word was said in a recording, and when it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_api.errors import Unprocessable
from trigger_api.model_card import Decision, ModelCard
from trigger_api.tasks.base import Task
from trigger_api.tasks.trigger.cascade import Cascade
from trigger_api.tasks.trigger.clip import Clip, preprocess
from trigger_api.tasks.trigger.detector import Debouncer, Detection
from trigger_api.tasks.trigger.low_rank import LowRankHead
from trigger_api.tasks.trigger.words import WordModel, acquire, decision_for, gate, keyword, models_for_words

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Curve:
    """What detections follow from: scores ``[n]``, one for each hop of ``hop_ms``; below the gate, a student's."""

    scores: Array = field(repr=False, compare=False)
    hop_ms: float
    decision: Decision


@dataclass(frozen=True)
class TriggerResult:
    """The detections of one word in one recording; ``truncated`` if that was cut off or damaged."""

    word: str
    detections: tuple[Detection, ...]
    duration_ms: int
    threshold: float
    model: str
    version: str
    truncated: bool = False
    curve: Curve | None = None


class Trigger(Task):
    """Detects trigger words in a recording."""

    name = "trigger"

    @staticmethod
    def load_assets(folder: Path, card: ModelCard) -> LowRankHead | None:
        """Read the low-rank head of a word, if its folder has one.

        Raises:
            OSError, ValueError: it cannot be read, or belongs to other weights.
        """
        return LowRankHead.load(folder, card.sha256)

    async def predict(
        self,
        data: bytes,
        *,
        model: str | None = None,
        version: str | None = None,
        words: Sequence[str] = (),
        sensitivity: str | None = None,
        threshold: float | None = None,
    ) -> list[TriggerResult]:
        """Detect one or more words in a recording, given as the bytes of a file of any common format.

        Args:
            data: the file.
            model: the name of a model; the default one if not given.
            version: a number or a label; see ``Registry.find``.
            words: the words to detect, instead of a model; ``*`` means every known word.
            sensitivity: the name of one of the thresholds that were measured for the card.
            threshold: 0..1, instead of the card's.

        Returns:
            One result per word, in the order of the words.

        Raises:
            Unprocessable: both a model and words are given.
            ServiceError: the recording is rejected, or the engine cannot answer in time.
        """
        if words and (model or version):
            raise Unprocessable("give a model or words, not both")
        names: Sequence[str | None] = models_for_words(self._cards(), words) if words else [model]
        with acquire(self._registry, names, version) as models:
            return await self._detect(data, models, sensitivity, threshold)

    def _cards(self) -> list[ModelCard]:
        return [version.card for version in self._registry.versions if version.card.task == self.name]

    async def _detect(
        self, data: bytes, models: Sequence[WordModel], sensitivity: str | None, threshold: float | None
    ) -> list[TriggerResult]:
        """Each model's result. The recording is decoded once, and each backbone embeds it at most once."""
        decisions = [decision_for(model.card, sensitivity=sensitivity, threshold=threshold) for model in models]
        seconds = min(part.queue.limits.deadline_s for model in models for part in (model.model, model.audio_model))
        async with self._engine.deadline(seconds) as deadline:
            cards = [part.audio_model.card for model in models for part in (model, model.without_student)]
            clip = await self._engine.preprocess(preprocess, data, cards, self._context.audio)
            gates = {model.model: gate(decision) for model, decision in zip(models, decisions, strict=True)}
            scores = await Cascade(self._engine, clip, gates, deadline).score(models)
            return [
                await self._postprocess(scores[model.model], clip, model.card, decision)
                for model, decision in zip(models, decisions, strict=True)
            ]

    async def _postprocess(self, scores: Array, clip: Clip, card: ModelCard, decision: Decision) -> TriggerResult:
        return await self._engine.preprocess(_postprocess, scores, clip, card, decision, size=scores.nbytes)


def _postprocess(scores: Array, clip: Clip, card: ModelCard, decision: Decision) -> TriggerResult:
    duration, curve = round(clip.seconds * 1000), Curve(scores.reshape(-1), card.frame_ms or 0.0, decision)
    hits = Debouncer(decision, curve.hop_ms).push(curve.scores)
    # The score that reaches the threshold may lie in the silence appended to the recording.
    detections = tuple(Detection(min(hit.time_ms, duration), hit.score) for hit in hits)
    threshold, truncated = decision.threshold, clip.truncated
    return TriggerResult(keyword(card), detections, duration, threshold, card.name, card.version, truncated, curve)
