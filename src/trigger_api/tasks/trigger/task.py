"""Trigger words: whether a word was said in a recording, and when it ended."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trigger_api.errors import DeadlineExceeded, Overloaded, Unprocessable
from trigger_api.media.audio import Audio, AudioLimits, decode
from trigger_api.media.long_audio import Part
from trigger_api.model_card import Decision, FrontEnd, MelFrontEnd, ModelCard
from trigger_api.registry import Model
from trigger_api.scheduler import BatchQueue, Tensors
from trigger_api.tasks.base import Task
from trigger_api.tasks.trigger.detector import Debouncer, Detection
from trigger_api.tasks.trigger.mel import FRAMES, Mel
from trigger_api.tasks.trigger.spectrogram import Spectrogram
from trigger_api.tasks.trigger.windows import SlidingWindows
from trigger_api.tasks.trigger.words import WordModel, acquire, decision_for, keyword, models_for_words

Array = NDArray[np.float32]
_PATIENCE = 120  # attempts to score one part while the engine is busy


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


@dataclass(frozen=True)
class ModelInput:
    """One model's input for a recording: windows for one of its batch queues."""

    queue: BatchQueue
    items: list[Tensors]
    windows: SlidingWindows
    outputs: int

    def merge(self, outputs: Sequence[Tensors], name: str) -> Array:
        """One of the model's outputs for the whole recording."""
        return self.windows.merge([output[name] for output in outputs], self.outputs)


@dataclass(frozen=True)
class Clip:
    """A recording, as input for every model that takes audio features, its length, and whether it was cut off."""

    inputs: Mapping[Model, ModelInput]
    seconds: float
    truncated: bool


class Features(Protocol):
    """A front end."""

    def features(self, samples: Array) -> Array:
        """Features ``[frames, bands]`` of mono samples."""


class Trigger(Task):
    """Detects trigger words in a recording."""

    name = "trigger"

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
        """Each model's result. The recording is decoded once, and each backbone embeds it once."""
        async with self._engine.deadline(_deadline_s(models)) as deadline:
            clip = await self._engine.preprocess(preprocess, data, _audio_models(models), self._context.audio)
            scores = await self._score_cascade(models, decisions, clip, deadline)
            return [
                await self._postprocess(scores[model.model], clip, model.card, decision)
                for model, decision in zip(models, decisions, strict=True)
            ]

    async def _score_part(
        self, part: Part, models: Sequence[WordModel], decisions: Sequence[Decision]
    ) -> Mapping[Model, Array]:
        """The scores of every word in one part, however long the engine has no room for it."""
        clip = await self._engine.preprocess(cut, part.audio, _audio_models(models))
        for waited in count():
            try:
                async with self._engine.deadline(_deadline_s(models)) as deadline:
                    return await self._score_cascade(models, decisions, clip, deadline)
            except (Overloaded, DeadlineExceeded) as error:
                if waited == _PATIENCE:
                    raise
                await asyncio.sleep(error.retry_after or 1)
        raise AssertionError

    async def _score_cascade(
        self, models: Sequence[WordModel], decisions: Sequence[Decision], clip: Clip, deadline: float
    ) -> Mapping[Model, Array]:
        """The scores of every word: on the student's embeddings, and on the backbone's where those reach the gate."""
        scores = await self._score(models, clip, deadline)
        pairs = zip(models, decisions, strict=True)
        candidates = [
            model.without_student for model, decision in pairs if model.is_candidate(scores[model.model], decision)
        ]
        return {**scores, **await self._score(candidates, clip, deadline)} if candidates else scores

    async def _infer(self, inputs: Mapping[Model, ModelInput], deadline: float) -> dict[Model, Array]:
        """The first output of each model."""
        outputs = await self._engine.infer_all([(part.queue, part.items) for part in inputs.values()], deadline)
        return {
            model: part.merge(output, model.card.outputs[0].name)
            for (model, part), output in zip(inputs.items(), outputs, strict=True)
        }

    async def _score(self, models: Sequence[WordModel], clip: Clip, deadline: float) -> Mapping[Model, Array]:
        """The scores of every word: outputs of models without a backbone, and what heads make of embeddings."""
        inputs = {model.audio_model: clip.inputs[model.audio_model] for model in models}
        outputs = await self._infer(inputs, deadline)
        heads = [model for model in models if model.backbone]
        if not heads:
            return outputs
        size = sum(map(len, outputs.values())) * len(heads)  # only copied: a thread pays off for minutes of audio
        inputs = await self._engine.preprocess(_head_inputs, heads, outputs, size=size)
        return {**outputs, **await self._infer(inputs, deadline)}

    async def _postprocess(self, scores: Array, clip: Clip, card: ModelCard, decision: Decision) -> TriggerResult:
        return await self._engine.preprocess(_postprocess, scores, clip, card, decision, size=scores.nbytes)


def preprocess(data: bytes, models: Sequence[Model], limits: AudioLimits) -> Clip:
    """Decode a recording and cut it into windows of features for each model; equal front ends are computed once."""
    return cut(decode(data, limits), models)


def cut(audio: Audio, models: Sequence[Model]) -> Clip:
    """Cut a recording into windows of features for each model."""
    features = {parameters: _features(audio, parameters) for parameters in {_parameters(each.card) for each in models}}
    inputs = {model: _audio_input(model, features[_parameters(model.card)]) for model in models}
    return Clip(inputs, audio.seconds, audio.truncated)


@lru_cache(maxsize=32)
def front_end(parameters: FrontEnd) -> Features:
    """The front end of a card. It holds only constants, so one instance serves every request."""
    return Mel(parameters) if isinstance(parameters, MelFrontEnd) else Spectrogram(parameters)


def _parameters(card: ModelCard) -> FrontEnd:
    assert card.front_end is not None
    return card.front_end


def _features(audio: Audio, parameters: FrontEnd) -> Array:
    tail = np.zeros(parameters.tail_ms * parameters.sample_rate // 1000, np.float32)
    samples = np.append(audio.resampled(parameters.sample_rate), tail)
    return front_end(parameters).features(samples)


def _audio_input(model: Model, features: Array) -> ModelInput:
    stride, fixed = _stride(model.card), model.card.outputs[0].shape[0]
    length, queue = _queue(model, len(features))
    windows = SlidingWindows(length, stride, fixed if fixed > 0 else length // stride, model.card.context)
    return ModelInput(queue, windows.split(features, queue), windows, len(features) // stride)


def _stride(card: ModelCard) -> int:
    """Feature frames per output."""
    if card.task == "embedding":
        return FRAMES
    parameters = _parameters(card)
    frame_ms = 1000 * parameters.hop / parameters.sample_rate
    return round((card.frame_ms or frame_ms) / frame_ms)


def _head_inputs(heads: Sequence[WordModel], outputs: Mapping[Model, Array]) -> dict[Model, ModelInput]:
    """The embeddings for each head, preceded by those of silence, so that every embedding gets a score."""
    contexts = {(head.audio_model, head.card.context) for head in heads}
    padded = {(backbone, context): _pad_silence(backbone, context, outputs[backbone]) for backbone, context in contexts}
    return {head.model: _head_input(head.model, padded[head.audio_model, head.card.context]) for head in heads}


def _pad_silence(backbone: Model, context: int, embeddings: Array) -> Array:
    silence = np.broadcast_to(backbone.silence, (context, embeddings.shape[1]))
    return np.concatenate([silence, embeddings])


def _head_input(head: Model, embeddings: Array) -> ModelInput:
    context = head.card.context
    length, queue = _queue(head, len(embeddings))
    windows = SlidingWindows(length, 1, length - context)
    return ModelInput(queue, windows.split(embeddings, queue), windows, len(embeddings) - context)


def _queue(model: Model, count: int) -> tuple[int, BatchQueue]:
    """The shortest window that holds ``count`` frames, or else the longest, and its queue."""
    length = min((length for length in model.queues if length >= count), default=max(model.queues))
    return length or model.card.inputs[0].shape[0], model.queues[length]


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


def _audio_models(models: Sequence[WordModel]) -> list[Model]:
    return list(dict.fromkeys(m.audio_model for model in models for m in (model, model.without_student)))


def _postprocess(scores: Array, clip: Clip, card: ModelCard, decision: Decision) -> TriggerResult:
    duration = round(clip.seconds * 1000)
    hits = Debouncer(decision, card.frame_ms or 0.0).push(scores.reshape(-1))
    return _result(hits, duration, card, decision, truncated=clip.truncated)


def _result(
    hits: Sequence[Detection], duration: int, card: ModelCard, decision: Decision, *, truncated: bool
) -> TriggerResult:
    # The score that reaches the threshold may lie in the silence appended to the recording.
    detections = tuple(Detection(min(hit.time_ms, duration), hit.score) for hit in hits)
    return TriggerResult(keyword(card), detections, duration, decision.threshold, card.name, card.version, truncated)
