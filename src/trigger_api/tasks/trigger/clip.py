"""A recording as features, and parts of those as inputs of models that take any length in windows of a few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trigger_api.media.audio import Audio, AudioLimits, decode
from trigger_api.model_card import FrontEnd, MelFrontEnd, ModelCard
from trigger_api.registry import Model
from trigger_api.scheduler import BatchQueue, Tensors
from trigger_api.tasks.trigger.mel import FRAMES, Mel
from trigger_api.tasks.trigger.spectrogram import Spectrogram
from trigger_api.tasks.trigger.windows import SlidingWindows

Array = NDArray[np.float32]


class Features(Protocol):
    """A front end."""

    def features(self, samples: Array) -> Array:
        """Features ``[frames, bands]`` of mono samples."""


@dataclass(frozen=True)
class Clip:
    """A recording: its features by front end, its length, and whether it was cut off."""

    features: Mapping[FrontEnd, Array]
    seconds: float
    truncated: bool

    def frames(self, card: ModelCard) -> Array:
        """The features that a model takes, ``[frames, bands]``."""
        return self.features[_parameters(card)]

    def outputs(self, card: ModelCard) -> int:
        """How many outputs a model has for the whole recording."""
        return len(self.frames(card)) // stride(card)


@dataclass(frozen=True)
class ModelInput:
    """Windows for one of a model's batch queues."""

    queue: BatchQueue
    items: list[Tensors]
    windows: SlidingWindows
    outputs: int

    @classmethod
    def of_audio(cls, model: Model, features: Array) -> ModelInput:
        """Features for a model that takes audio."""
        step, fixed = stride(model.card), model.card.outputs[0].shape[0]
        length, queue = _queue(model, len(features))
        windows = SlidingWindows(length, step, fixed if fixed > 0 else length // step, model.card.context)
        return cls(queue, windows.split(features, queue), windows, len(features) // step)

    @classmethod
    def of_head(cls, head: Model, embeddings: Array) -> ModelInput:
        """Embeddings for a head, whose first score is that of the embedding after its context."""
        context = head.card.context
        length, queue = _queue(head, len(embeddings))
        windows = SlidingWindows(length, 1, length - context)
        return cls(queue, windows.split(embeddings, queue), windows, len(embeddings) - context)

    def merge(self, outputs: Sequence[Tensors], name: str) -> Array:
        """One of the model's outputs for all of the input."""
        return self.windows.merge([output[name] for output in outputs], self.outputs)


def preprocess(data: bytes, cards: Iterable[ModelCard], limits: AudioLimits) -> Clip:
    """Decode a recording and compute the features that some models take; equal front ends are computed once."""
    return clip_of(decode(data, limits), cards)


def clip_of(audio: Audio, cards: Iterable[ModelCard]) -> Clip:
    """The features of a recording."""
    features = {parameters: _features(audio, parameters) for parameters in {_parameters(card) for card in cards}}
    return Clip(features, audio.seconds, audio.truncated)


def stride(card: ModelCard) -> int:
    """Feature frames per output."""
    if card.task == "embedding":
        return FRAMES
    parameters = _parameters(card)
    frame_ms = 1000 * parameters.hop / parameters.sample_rate
    return round((card.frame_ms or frame_ms) / frame_ms)


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


def _queue(model: Model, count: int) -> tuple[int, BatchQueue]:
    """The shortest window that holds ``count`` frames, or else the longest, and its queue."""
    length = min((length for length in model.queues if length >= count), default=max(model.queues))
    return length or model.card.inputs[0].shape[0], model.queues[length]
