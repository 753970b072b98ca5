"""Trigger words: whether the word is in a recording, and when it ended."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trigger_api.cards import Decision, FrontEnd, LogMelFrontEnd, ModelCard
from trigger_api.errors import UnknownModel, Unprocessable
from trigger_api.inference import Engine, Lane, Tensors
from trigger_api.media.audio import Audio, AudioLimits, decode
from trigger_api.registry import Model, Registry
from trigger_api.streaming import Decider, Detection
from trigger_api.tasks.log_mel import LogMel
from trigger_api.tasks.spectrogram import Spectrogram

Array = NDArray[np.float32]

EVERY_WORD = "*"


@dataclass(frozen=True)
class Hearing:
    """What was heard of one word in one recording."""

    word: str
    detections: tuple[Detection, ...]
    duration_ms: int
    threshold: float
    model: str
    version: str


@dataclass(frozen=True)
class Clip:
    """A recording as the model takes it: windows of features for a lane, and how they cover it."""

    lane: Lane
    items: list[Tensors]
    plan: Windows
    frames: int
    seconds: float


class Features(Protocol):
    """A front end."""

    def features(self, samples: Array) -> Array:
        """Features ``[frames, bands]`` of mono samples."""


class Trigger:
    """The task: the same object serves every way in."""

    def __init__(self, engine: Engine, registry: Registry, limits: AudioLimits) -> None:
        self._engine = engine
        self._registry = registry
        self._limits = limits

    async def detect(
        self,
        data: bytes,
        *,
        model: str | None = None,
        version: str | None = None,
        sensitivity: str | None = None,
        threshold: float | None = None,
    ) -> Hearing:
        """Hear one recording, given as the bytes of a wav, flac, ogg or mp3 file.

        Args:
            data: the file.
            model: a model's name; the default one if not given.
            version: a number or a label; see ``Registry.find``.
            sensitivity: a threshold that the card has measured, by its name.
            threshold: 0..1, instead of the card's.

        Raises:
            ServiceError: the recording cannot be taken, or the engine cannot answer in time.
        """
        with self._registry.acquire("trigger", model, version) as served:
            (heard,) = await self._hear(data, [served], sensitivity, threshold)
            return heard

    async def detect_words(
        self, data: bytes, words: Sequence[str], *, sensitivity: str | None = None, threshold: float | None = None
    ) -> list[Hearing]:
        """Hear several words in one recording; ``*`` is every word that is known. Arguments and errors as `detect`."""
        with ExitStack() as stack:
            served = [stack.enter_context(self._registry.acquire("trigger", name)) for name in self._names(words)]
            return await self._hear(data, served, sensitivity, threshold)

    def _names(self, words: Sequence[str]) -> list[str]:
        cards = [entry.card for entry in self._registry.entries if entry.card.task == "trigger"]
        if cards and EVERY_WORD in words:
            return list(dict.fromkeys(card.name for card in cards))
        return list(dict.fromkeys(listener_for(cards, word) for word in words))

    async def _hear(
        self, data: bytes, served: Sequence[Model], sensitivity: str | None, threshold: float | None
    ) -> list[Hearing]:
        """What each model hears; the recording is decoded once."""
        decisions = [decision_for(one.card, sensitivity=sensitivity, threshold=threshold) for one in served]
        seconds = min(next(iter(one.lanes.values())).limits.deadline_s for one in served)
        async with self._engine.deadline(seconds) as deadline:
            clips = await self._engine.preprocess(prepare, data, served, self._limits)
            return [await self._decided(*each, deadline) for each in zip(clips, served, decisions, strict=True)]

    async def _decided(self, clip: Clip, served: Model, decision: Decision, deadline: float) -> Hearing:
        answers = await self._engine.infer(clip.lane, clip.items, deadline)
        parts = [answer["scores"] for answer in answers]
        size = sum(part.nbytes for part in parts)
        return await self._engine.preprocess(_decide, parts, clip, served.card, decision, size=size)


@dataclass(frozen=True)
class Windows:
    """Covers features of any length with windows of one length, overlapping so that each score has its context.

    Attributes:
        length: frames in a window.
        stride: frames a score.
        scores: scores a window.
        context: scores at a window's start that lean on frames before it; the window before has them right.
    """

    length: int
    stride: int
    scores: int
    context: int

    @property
    def _advance(self) -> int:
        return (self.scores - self.context) * self.stride

    def cut(self, features: Array, lane: Lane) -> list[Tensors]:
        """The windows as items for the engine; the last is padded with zeros."""
        named, *others = lane.specs
        rest = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in others}
        covered = max(len(features) - self.length, 0)
        starts = range(0, covered + self._advance, self._advance)
        return [{named.name: self._window(features, start), **rest} for start in starts]

    def join(self, parts: Sequence[Array], frames: int) -> Array:
        """The scores of all the frames, each taken from the window that had its whole context."""
        flat = [part.reshape(-1) for part in parts]
        joined = np.concatenate([flat[0], *(part[self.context :] for part in flat[1:])])
        return joined[: frames // self.stride]

    def _window(self, features: Array, start: int) -> Array:
        part = features[start : start + self.length]
        return part if len(part) == self.length else np.pad(part, ((0, self.length - len(part)), (0, 0)))


def prepare(data: bytes, served: Sequence[Model], limits: AudioLimits) -> list[Clip]:
    """Decode a recording, and cut it into windows of features for each model; models with one front end share them."""
    audio = decode(data, limits)
    features = {parameters: _features(audio, parameters) for parameters in {_parameters(one.card) for one in served}}
    return [_clip(one, features[_parameters(one.card)], audio) for one in served]


def _parameters(card: ModelCard) -> FrontEnd:
    assert card.front_end is not None
    return card.front_end


def _features(audio: Audio, parameters: FrontEnd) -> Array:
    tail = np.zeros(parameters.tail_ms * parameters.sample_rate // 1000, np.float32)
    samples = np.append(audio.resampled(parameters.sample_rate), tail)
    return front_end(parameters).features(samples)


def _clip(served: Model, features: Array, audio: Audio) -> Clip:
    card = served.card
    length, lane = _lane(served, len(features))
    plan = Windows(length, _stride(card), _scores(card, length), card.context)
    return Clip(lane, plan.cut(features, lane), plan, len(features), audio.seconds)


@lru_cache(maxsize=32)
def front_end(parameters: FrontEnd) -> Features:
    """The front end of a card. It holds constants only, so one serves every request."""
    return LogMel(parameters) if isinstance(parameters, LogMelFrontEnd) else Spectrogram(parameters)


def word_of(card: ModelCard) -> str:
    """The word that a model hears."""
    return card.labels[0] if card.labels else card.name


def listener_for(cards: Sequence[ModelCard], word: str) -> str:
    """The name of the first model that hears a word.

    Raises:
        UnknownModel: there is none.
    """
    found = next((card.name for card in cards if word in (card.name, *card.labels)), None)
    if found is None:
        raise UnknownModel(f"no model listens for that word; known: {', '.join(sorted({word_of(c) for c in cards}))}")
    return found


def decision_for(card: ModelCard, *, sensitivity: str | None = None, threshold: float | None = None) -> Decision:
    """The card's decision with the caller's threshold, or that of a sensitivity it has measured.

    Raises:
        Unprocessable: the model has no such sensitivity, or both are given.
    """
    if sensitivity is not None and threshold is not None:
        raise Unprocessable("give a sensitivity or a threshold, not both")
    decision = card.decision or Decision()
    known: dict[str, float] = {"medium": decision.threshold, **decision.sensitivities}
    if sensitivity is not None:
        if sensitivity not in known:
            raise Unprocessable(f"{card.name} knows these sensitivities: {', '.join(known)}; or give a threshold")
        threshold = known[sensitivity]
    return decision if threshold is None else decision.model_copy(update={"threshold": threshold})


def _decide(parts: Sequence[Array], clip: Clip, card: ModelCard, decision: Decision) -> Hearing:
    scores = clip.plan.join(parts, clip.frames)
    duration = round(clip.seconds * 1000)
    heard = Decider(decision, card.frame_ms or 0.0).push(scores)
    # The score that crosses may lie in the silence put after the end.
    bounded = tuple(Detection(min(hit.time_ms, duration), hit.score) for hit in heard)
    return Hearing(word_of(card), bounded, duration, decision.threshold, card.name, card.version)


def _lane(served: Model, frames: int) -> tuple[int, Lane]:
    """The shortest window that holds everything, or else the longest there is."""
    longest = max(served.lanes)
    length = min((length for length in served.lanes if length >= frames), default=longest)
    return length or served.card.inputs[0].shape[0], served.lanes[length]


def _stride(card: ModelCard) -> int:
    assert card.front_end is not None
    frame_ms = 1000 * card.front_end.hop / card.front_end.sample_rate
    return round((card.frame_ms or frame_ms) / frame_ms)


def _scores(card: ModelCard, length: int) -> int:
    fixed = card.outputs[0].shape[0]
    return fixed if fixed > 0 else length // _stride(card)
