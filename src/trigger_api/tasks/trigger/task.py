"""Trigger words: whether a word was said in a recording, and when it ended."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_api.errors import DeadlineExceeded, Overloaded, Unprocessable
from trigger_api.media.long_audio import Part
from trigger_api.model_card import Decision, ModelCard
from trigger_api.registry import Model
from trigger_api.tasks.base import Task
from trigger_api.tasks.trigger.cascade import Cascade
from trigger_api.tasks.trigger.clip import Clip, clip_of, preprocess
from trigger_api.tasks.trigger.detector import Debouncer, Detection
from trigger_api.tasks.trigger.low_rank import LowRankHead
from trigger_api.tasks.trigger.words import WordModel, acquire, decision_for, gate, keyword, models_for_words

Array = NDArray[np.float32]
_PATIENCE = 120  # attempts to score one part while the engine is busy


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
        with self._words(model, version, words) as models:
            decisions = [decision_for(each.card, sensitivity=sensitivity, threshold=threshold) for each in models]
            return await self._detect(data, models, decisions)

    async def predict_parts(
        self,
        parts: AsyncIterator[Part],
        *,
        model: str | None = None,
        version: str | None = None,
        words: Sequence[str] = (),
        sensitivity: str | None = None,
        threshold: float | None = None,
    ) -> list[TriggerResult]:
        """The same for the parts of a recording of any length: detections are those of one recording.

        Where the engine is busy, it waits: nobody waits for the answer.

        Raises:
            ServiceError: as ``predict``; the parts' own errors.
        """
        with self._words(model, version, words) as models:
            decisions = [decision_for(each.card, sensitivity=sensitivity, threshold=threshold) for each in models]
            spans = [PartSpan(each.card, decision) for each, decision in zip(models, decisions, strict=True)]
            async for part in parts:
                scores = await self._score_part(part, models, decisions)
                for each, span in zip(models, spans, strict=True):
                    await self._engine.preprocess(span.add, scores[each.model], part)
            return [span.result() for span in spans]

    def check(
        self,
        *,
        model: str | None = None,
        version: str | None = None,
        words: Sequence[str] = (),
        sensitivity: str | None = None,
        threshold: float | None = None,
    ) -> None:
        """Check what a later ``predict`` would be given.

        Raises:
            ServiceError: as ``predict`` would.
        """
        with self._words(model, version, words) as models:
            for each in models:
                decision_for(each.card, sensitivity=sensitivity, threshold=threshold)

    @contextmanager
    def _words(self, model: str | None, version: str | None, words: Sequence[str]) -> Iterator[list[WordModel]]:
        if words and (model or version):
            raise Unprocessable("give a model or words, not both")
        names: Sequence[str | None] = models_for_words(self._cards(), words) if words else [model]
        with acquire(self._registry, names, version) as models:
            yield models

    def _cards(self) -> list[ModelCard]:
        return [version.card for version in self._registry.versions if version.card.task == self.name]

    async def _detect(
        self, data: bytes, models: Sequence[WordModel], decisions: Sequence[Decision]
    ) -> list[TriggerResult]:
        """Each model's result. The recording is decoded once, and each backbone embeds it at most once."""
        async with self._engine.deadline(_deadline_s(models)) as deadline:
            clip = await self._engine.preprocess(preprocess, data, _audio_cards(models), self._context.audio)
            scores = await self._cascade(clip, models, decisions, deadline).score(models)
            return [
                await self._postprocess(scores[model.model], clip, model.card, decision)
                for model, decision in zip(models, decisions, strict=True)
            ]

    async def _score_part(
        self, part: Part, models: Sequence[WordModel], decisions: Sequence[Decision]
    ) -> Mapping[Model, Array]:
        """The scores of every word in one part, however long the engine has no room for it."""
        clip = await self._engine.preprocess(clip_of, part.audio, _audio_cards(models))
        for waited in count():
            try:
                async with self._engine.deadline(_deadline_s(models)) as deadline:
                    return await self._cascade(clip, models, decisions, deadline).score(models)
            except (Overloaded, DeadlineExceeded) as error:
                if waited == _PATIENCE:
                    raise
                await asyncio.sleep(error.retry_after or 1)
        raise AssertionError

    def _cascade(
        self, clip: Clip, models: Sequence[WordModel], decisions: Sequence[Decision], deadline: float
    ) -> Cascade:
        gates = {model.model: gate(decision) for model, decision in zip(models, decisions, strict=True)}
        return Cascade(self._engine, clip, gates, deadline)

    async def _postprocess(self, scores: Array, clip: Clip, card: ModelCard, decision: Decision) -> TriggerResult:
        return await self._engine.preprocess(_postprocess, scores, clip, card, decision, size=scores.nbytes)


class PartSpan:
    """The detections of one word in a recording that comes in parts."""

    def __init__(self, card: ModelCard, decision: Decision) -> None:
        self._card, self._decision = card, decision
        self._debouncer = Debouncer(decision, card.frame_ms or 0.0)
        self._detections: list[Detection] = []
        self._seconds = 0.0
        self._truncated = False

    def add(self, scores: Array, part: Part) -> None:
        """Take the scores of the next part; those of the audio that its neighbours have too are left out."""
        frame_s = (self._card.frame_ms or 1.0) / 1000
        first, last = round(part.lead_s / frame_s), math.isinf(part.seconds)
        own = scores.reshape(-1)[first : None if last else first + round(part.seconds / frame_s)]
        self._detections += self._debouncer.push(own)
        self._seconds += part.audio.seconds - part.lead_s if last else part.seconds
        self._truncated |= part.audio.truncated

    def result(self) -> TriggerResult:
        """The detections of all parts."""
        duration = round(self._seconds * 1000)
        return _result(self._detections, duration, self._card, self._decision, truncated=self._truncated)


def _deadline_s(models: Sequence[WordModel]) -> float:
    return min(part.queue.limits.deadline_s for model in models for part in (model.model, model.audio_model))


def _audio_cards(models: Sequence[WordModel]) -> list[ModelCard]:
    return [part.audio_model.card for model in models for part in (model, model.without_student)]


def _postprocess(scores: Array, clip: Clip, card: ModelCard, decision: Decision) -> TriggerResult:
    duration, curve = round(clip.seconds * 1000), Curve(scores.reshape(-1), card.frame_ms or 0.0, decision)
    hits = Debouncer(decision, curve.hop_ms).push(curve.scores)
    return replace(_result(hits, duration, card, decision, truncated=clip.truncated), curve=curve)


def _result(
    hits: Sequence[Detection], duration: int, card: ModelCard, decision: Decision, *, truncated: bool
) -> TriggerResult:
    # The score that reaches the threshold may lie in the silence appended to the recording.
    detections = tuple(Detection(min(hit.time_ms, duration), hit.score) for hit in hits)
    return TriggerResult(keyword(card), detections, duration, decision.threshold, card.name, card.version, truncated)
