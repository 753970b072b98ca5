"""Trigger words: whether the word is in a recording, and when it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trigger_api.errors import Unprocessable
from trigger_api.media.audio import Audio, AudioLimits, decode
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


@dataclass(frozen=True)
class TriggerResult:
    """What was heard of one word in one recording."""

    word: str
    detections: tuple[Detection, ...]
    duration_ms: int
    threshold: float
    model: str
    version: str


@dataclass(frozen=True)
class Input:
    """What one model takes of a recording: windows for one of its lanes, and how they cover it."""

    queue: BatchQueue
    items: list[Tensors]
    windows: SlidingWindows
    outputs: int

    def merge(self, answers: Sequence[Tensors], output: str) -> Array:
        """The model's outputs for the whole recording."""
        return self.windows.merge([answer[output] for answer in answers], self.outputs)


@dataclass(frozen=True)
class Clip:
    """A recording as models take it: the input of every model that takes features, and how long it lasts."""

    inputs: Mapping[Model, Input]
    seconds: float


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
        """Detect one word or several in a recording, given as the bytes of a wav, flac, ogg or mp3 file.

        Args:
            data: the file.
            model: a model's name; the default one if not given.
            version: a number or a label; see ``Registry.find``.
            words: instead of a model, the words to listen for; ``*`` is every word that is known.
            sensitivity: a threshold that the card has measured, by its name.
            threshold: 0..1, instead of the card's.

        Returns:
            One result a word, in the order of the words.

        Raises:
            Unprocessable: a model and words are given.
            ServiceError: the recording cannot be taken, or the engine cannot answer in time.
        """
        if words and (model or version):
            raise Unprocessable("give a model or words, not both")
        names: Sequence[str | None] = models_for_words(self._cards(), words) if words else [model]
        with acquire(self._registry, names, version) as models:
            return await self._detect(data, models, sensitivity, threshold)

    def _cards(self) -> list[ModelCard]:
        return [entry.card for entry in self._registry.versions if entry.card.task == self.name]

    async def _detect(
        self, data: bytes, models: Sequence[WordModel], sensitivity: str | None, threshold: float | None
    ) -> list[TriggerResult]:
        """What each model hears; the recording is decoded once, and each backbone hears it once."""
        decisions = [decision_for(model.card, sensitivity=sensitivity, threshold=threshold) for model in models]
        seconds = min(part.queue.limits.deadline_s for model in models for part in (model.model, model.listener))
        async with self._engine.deadline(seconds) as deadline:
            listeners = list(dict.fromkeys(model.listener for model in models))
            clip = await self._engine.preprocess(prepare, data, listeners, self._context.audio)
            heard = await self._infer(clip.inputs, deadline)
            scores = await self._score(models, heard, deadline)
            return [
                await self._decide(scores[model.model], clip, model.card, decision)
                for model, decision in zip(models, decisions, strict=True)
            ]

    async def _infer(self, inputs: Mapping[Model, Input], deadline: float) -> dict[Model, Array]:
        """The first output of each model."""
        answers = await self._engine.infer_all([(part.queue, part.items) for part in inputs.values()], deadline)
        return {
            model: part.merge(answer, model.card.outputs[0].name)
            for (model, part), answer in zip(inputs.items(), answers, strict=True)
        }

    async def _score(
        self, models: Sequence[WordModel], heard: Mapping[Model, Array], deadline: float
    ) -> Mapping[Model, Array]:
        """The scores of every word: what was heard already, or what the heads make of the embeddings."""
        heads = [model for model in models if model.backbone]
        if not heads:
            return heard
        size = sum(map(len, heard.values())) * len(heads)  # embeddings are but copied: a thread is for minutes of them
        inputs = await self._engine.preprocess(_head_inputs, heads, heard, size=size)
        return {**heard, **await self._infer(inputs, deadline)}

    async def _decide(self, scores: Array, clip: Clip, card: ModelCard, decision: Decision) -> TriggerResult:
        return await self._engine.preprocess(_decide, scores, clip, card, decision, size=scores.nbytes)


def prepare(data: bytes, listeners: Sequence[Model], limits: AudioLimits) -> Clip:
    """Decode a recording, and cut it into windows of features for each model; models with one front end share them."""
    audio = decode(data, limits)
    features = {parameters: _features(audio, parameters) for parameters in {_parameters(one.card) for one in listeners}}
    inputs = {model: _input(model, features[_parameters(model.card)], _stride(model.card)) for model in listeners}
    return Clip(inputs, audio.seconds)


@lru_cache(maxsize=32)
def front_end(parameters: FrontEnd) -> Features:
    """The front end of a card. It holds constants only, so one serves every request."""
    return Mel(parameters) if isinstance(parameters, MelFrontEnd) else Spectrogram(parameters)


def _parameters(card: ModelCard) -> FrontEnd:
    assert card.front_end is not None
    return card.front_end


def _features(audio: Audio, parameters: FrontEnd) -> Array:
    tail = np.zeros(parameters.tail_ms * parameters.sample_rate // 1000, np.float32)
    samples = np.append(audio.resampled(parameters.sample_rate), tail)
    return front_end(parameters).features(samples)


def _input(model: Model, features: Array, stride: int) -> Input:
    """Features for a model that gives an output for every `stride` of them."""
    length, queue = _queue(model, len(features))
    fixed = model.card.outputs[0].shape[0]
    windows = SlidingWindows(length, stride, fixed if fixed > 0 else length // stride, model.card.context)
    return Input(queue, windows.split(features, queue), windows, len(features) // stride)


def _head_inputs(heads: Sequence[WordModel], heard: Mapping[Model, Array]) -> dict[Model, Input]:
    """The embeddings for each head, after those of the silence before the recording: a score for each of them."""
    wanted = {(head.listener, head.card.context) for head in heads}
    led = {(backbone, context): _after_silence(backbone, context, heard[backbone]) for backbone, context in wanted}
    return {head.model: _head_input(head.model, led[head.listener, head.card.context]) for head in heads}


def _after_silence(backbone: Model, context: int, embeddings: Array) -> Array:
    before = np.broadcast_to(backbone.silence, (context, embeddings.shape[1]))
    return np.concatenate([before, embeddings])


def _head_input(head: Model, embeddings: Array) -> Input:
    context = head.card.context
    length, queue = _queue(head, len(embeddings))
    windows = SlidingWindows(length, 1, length - context)
    return Input(queue, windows.split(embeddings, queue), windows, len(embeddings) - context)


def _queue(model: Model, count: int) -> tuple[int, BatchQueue]:
    """The shortest window that holds everything, or else the longest there is."""
    length = min((length for length in model.queues if length >= count), default=max(model.queues))
    return length or model.card.inputs[0].shape[0], model.queues[length]


def _stride(card: ModelCard) -> int:
    """Frames an output."""
    if card.task == "embedding":
        return FRAMES
    parameters = _parameters(card)
    frame_ms = 1000 * parameters.hop / parameters.sample_rate
    return round((card.frame_ms or frame_ms) / frame_ms)


def _decide(scores: Array, clip: Clip, card: ModelCard, decision: Decision) -> TriggerResult:
    duration = round(clip.seconds * 1000)
    heard = Debouncer(decision, card.frame_ms or 0.0).push(scores.reshape(-1))
    # The score that crosses may lie in the silence put after the end.
    bounded = tuple(Detection(min(hit.time_ms, duration), hit.score) for hit in heard)
    return TriggerResult(keyword(card), bounded, duration, decision.threshold, card.name, card.version)
