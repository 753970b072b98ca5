"""A cascade: cheap scores of a whole recording, better ones only where the word may have been said.

A head's low-rank form scores the student's embeddings, all words at once; the head itself scores them where that
reaches the gate; and the backbone embeds, for the head to score again, where this reaches it. Elsewhere scores stay
below the gate, far from any threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trigger_api.inference import Engine
from trigger_api.model_card import ModelCard
from trigger_api.registry import Model
from trigger_api.tasks.trigger.clip import Clip, ModelInput, stride
from trigger_api.tasks.trigger.low_rank import score_words
from trigger_api.tasks.trigger.words import WordModel

Array = NDArray[np.float32]
Scores = Mapping[Model, Array]
Spans = Mapping[WordModel, "Span"]

CANDIDATE_HOPS = 4
"""Hops that the backbone embeds once a word may have been said: that one and those after it."""
_EARLIER = 3  # hops before one: the student may be late, and a low-rank score is of every second hop
_FRAME_BYTES, _EMBEDDING_BYTES = 4 * 32, 4 * 96  # about


@dataclass(frozen=True)
class Span:
    """Hops of a recording, from ``start`` to before ``stop``."""

    start: int
    stop: int

    @classmethod
    def of_candidates(cls, scores: Array, least: float) -> Span | None:
        """From the first to the last hop in which the word may have been said; None if it was not."""
        hops = np.flatnonzero(scores >= least)
        if not len(hops):
            return None
        return cls(max(int(hops[0]) - _EARLIER, 0), min(int(hops[-1]) + CANDIDATE_HOPS, len(scores)))

    @property
    def hops(self) -> int:
        """How many they are."""
        return self.stop - self.start

    def __or__(self, other: Span) -> Span:
        return Span(min(self.start, other.start), max(self.stop, other.stop))

    def preceded_by(self, hops: int) -> Span:
        """With so many hops before it, if there are so many."""
        return Span(max(self.start - hops, 0), self.stop)


@dataclass(frozen=True)
class Embeddings:
    """A model's embeddings ``[n, 96]`` of a recording from a hop on."""

    model: Model
    first: int
    values: Array

    def preceded(self, span: Span, context: int) -> Array:
        """Those of a span after so many others, ``[context + hops, 96]``; silence came before the recording."""
        start, stop = span.start - context - self.first, span.stop - self.first
        silence = np.broadcast_to(self.model.silence, (max(-start, 0), self.values.shape[1]))
        return np.concatenate([silence, self.values[max(start, 0) : stop]])


class Cascade:
    """Scores one recording.

    Args:
        engine: preprocesses and infers.
        clip: the recording.
        gates: the score of each word's model from which the next stage is asked.
        deadline: in monotonic seconds.
    """

    def __init__(self, engine: Engine, clip: Clip, gates: Mapping[Model, float], deadline: float) -> None:
        self._engine = engine
        self._clip = clip
        self._gates = gates
        self._deadline = deadline

    async def score(self, words: Sequence[WordModel]) -> Scores:
        """The scores of every word's model, one for each of its outputs for the whole recording."""
        first = [word for word in words if word.student]
        embeddings = await self._embed(self._unclear(first, {}))
        scores = await self._score_roughly(first, embeddings)
        scores = await self._score(self._unclear(first, scores), embeddings, scores)
        again = {word.without_student: span for word, span in self._unclear(words, scores).items()}
        return await self._score(again, await self._embed(again), scores)

    def _unclear(self, words: Sequence[WordModel], scores: Scores) -> Spans:
        """The words that may have been said, and where: anywhere, if they have no scores yet."""
        spans = {word: self._span(word, scores.get(word.model)) for word in words}
        return {word: span for word, span in spans.items() if span}

    def _span(self, word: WordModel, scores: Array | None) -> Span | None:
        if scores is None:
            return Span(0, self._clip.outputs(word.audio_model.card))
        return Span.of_candidates(scores, self._gates[word.model])

    async def _embed(self, spans: Spans) -> dict[Model, Embeddings]:
        """The outputs of each model that takes audio features, for all that its words need."""
        parts = _audio_parts(spans)
        frames = sum(part.hops * stride(model.card) for model, part in parts.items())
        inputs = await self._engine.preprocess(_audio_inputs, self._clip, parts, size=frames * _FRAME_BYTES)
        outputs = await self._infer(inputs)
        return {model: _without_lead(model, parts[model], values) for model, values in outputs.items()}

    async def _score_roughly(self, words: Sequence[WordModel], embeddings: Mapping[Model, Embeddings]) -> Scores:
        """Scores by the low-rank heads of the words that have one."""
        rough = [word for word in words if word.low_rank]
        size = sum(embeddings[word.audio_model].values.nbytes for word in rough)
        return await self._engine.preprocess(_rough_scores, rough, embeddings, size=size)

    async def _score(self, spans: Spans, embeddings: Mapping[Model, Embeddings], scores: Scores) -> Scores:
        """What heads make of embeddings in their spans, in place of the scores that there were."""
        heads = {word: span for word, span in spans.items() if word.backbone}
        size = sum(span.hops for span in heads.values()) * _EMBEDDING_BYTES
        inputs = await self._engine.preprocess(_head_inputs, heads, embeddings, size=size)
        outputs = await self._infer(inputs)
        outputs |= {word.model: embeddings[word.model].values for word in spans if not word.backbone}
        better = {
            word.model: _replace(scores.get(word.model), span, outputs[word.model]) for word, span in spans.items()
        }
        return {**scores, **better}

    async def _infer(self, inputs: Mapping[Model, ModelInput]) -> dict[Model, Array]:
        """The first output of each model."""
        work = [(part.queue, part.items) for part in inputs.values()]
        outputs = await self._engine.infer_all(work, self._deadline)
        return {
            model: part.merge(output, model.card.outputs[0].name)
            for (model, part), output in zip(inputs.items(), outputs, strict=True)
        }


def candidate_hops(scores: Array, least: float) -> NDArray[np.bool_]:
    """The hops that a live stream's backbone embeds: those with such scores by the student, and a few more."""
    over = np.concatenate([np.zeros(CANDIDATE_HOPS - 1, np.bool_), scores >= least])
    return np.asarray(sliding_window_view(over, CANDIDATE_HOPS).any(axis=-1))


def _audio_parts(spans: Spans) -> dict[Model, Span]:
    """What each audio model has to be given: with what its words' heads look back on, and what it looks back on."""
    parts: dict[Model, Span] = {}
    for word, span in spans.items():
        model, context = word.audio_model, word.card.context if word.backbone else 0
        part = span.preceded_by(context + model.card.context)
        parts[model] = parts.get(model, part) | part
    return parts


def _audio_inputs(clip: Clip, parts: Mapping[Model, Span]) -> dict[Model, ModelInput]:
    return {model: ModelInput.of_audio(model, _frames(clip, model.card, part)) for model, part in parts.items()}


def _frames(clip: Clip, card: ModelCard, part: Span) -> Array:
    """The features of some hops; of the last, all that are left."""
    frames, step = clip.frames(card), stride(card)
    stop = len(frames) if part.stop == clip.outputs(card) else part.stop * step
    return frames[part.start * step : stop]


def _without_lead(model: Model, part: Span, values: Array) -> Embeddings:
    """Embeddings without the first, which would be others had the model seen what was before them."""
    lead = model.card.context if part.start else 0
    return Embeddings(model, part.start + lead, values[lead:])


def _rough_scores(words: Sequence[WordModel], embeddings: Mapping[Model, Embeddings]) -> Scores:
    scores: dict[Model, Array] = {}
    for (model, context), group in _by_input(words).items():
        whole = Span(0, len(embeddings[model].values))
        heads = [word.low_rank for word in group if word.low_rank]
        rough = score_words(heads, embeddings[model].preceded(whole, context), whole.hops)
        scores |= zip((word.model for word in group), rough, strict=True)
    return scores


def _by_input(words: Sequence[WordModel]) -> dict[tuple[Model, int], list[WordModel]]:
    """Words whose heads take the same embeddings after as many of silence."""
    groups: dict[tuple[Model, int], list[WordModel]] = {}
    for word in words:
        groups.setdefault((word.audio_model, word.card.context), []).append(word)
    return groups


def _head_inputs(spans: Spans, embeddings: Mapping[Model, Embeddings]) -> dict[Model, ModelInput]:
    return {
        word.model: ModelInput.of_head(word.model, embeddings[word.audio_model].preceded(span, word.card.context))
        for word, span in spans.items()
    }


def _replace(scores: Array | None, span: Span, better: Array) -> Array:
    return better if scores is None else np.concatenate([scores[: span.start], better, scores[span.stop :]])
