"""A trigger word's head as an offline detector: recordings to scores to detections, as the service has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from trigger_api import runtimes
from trigger_api.datasets.speech import RATE, Samples
from trigger_api.errors import format_validation_errors
from trigger_api.evaluation.trigger.embedder import FOLDER, STEP_SECONDS, STUDENT, Embedder, Embeddings
from trigger_api.model_card import CARD_FILE, WEIGHTS_FILE, Decision, ModelCard, read_card
from trigger_api.runtimes import openwakeword
from trigger_api.runtimes.speech_embedding import EMBEDDING
from trigger_api.scheduler import CompiledFunction
from trigger_api.tasks.trigger.cascade import candidate_hops
from trigger_api.tasks.trigger.detector import Debouncer, Detection
from trigger_api.tasks.trigger.low_rank import LowRankHead, score_words
from trigger_api.tasks.trigger.words import gate

Scores = NDArray[np.float32]

_STEP = round(STEP_SECONDS * RATE)
_CHUNK = 750 * _STEP  # a minute: an hour at once would take gigabytes
_MARGIN = 12  # embeddings before a chunk that those in it lean on


@dataclass(frozen=True)
class Detector:
    """A word's model.

    Attributes:
        card: says how scores become detections.
        scores: gives scores ``float32[n]``, one for each 80 ms, of 16 kHz mono samples and the silence after them.
    """

    card: ModelCard
    scores: Callable[[Samples], Scores]

    @property
    def decision(self) -> Decision:
        """Threshold, patience and refractory time."""
        return self.card.decision or Decision()

    @property
    def frame_ms(self) -> float:
        """Milliseconds from one score to the next."""
        return self.card.frame_ms or 1_000 * STEP_SECONDS

    @property
    def thresholds(self) -> dict[str, float]:
        """The card's thresholds by the names of their sensitivities, the strictest first."""
        known = {"medium": self.decision.threshold, **self.decision.sensitivities}
        return dict(sorted(known.items(), key=lambda one: -one[1]))

    def detections(self, scores: Scores, threshold: float | None = None) -> list[Detection]:
        """What would be reported for the scores of a whole recording, at the card's threshold or another."""
        chosen = {} if threshold is None else {"threshold": threshold}
        return Debouncer(self.decision.model_copy(update=chosen), self.frame_ms).push(scores)


def load(path: Path) -> Detector:
    """The detector of a head's folder, or of a file of openWakeWord's. It has been tried on a second of silence.

    Raises:
        ValueError: there is no card, or it is not a head's; or the weights are not its own or cannot be used.
        OSError: there is no model.
    """
    card = _read_card(path)
    _check_weights(path, card)
    try:
        network = runtimes.load(path, card, runtimes.LoadOptions())
        detector = Detector(card, _Scorer(network, card, LowRankHead.load(path, card.sha256)))
        detector.scores(np.zeros(RATE, np.float32))
    except ImportError:  # no fault of the model
        raise
    except Exception as error:  # Keras and TensorFlow raise whatever a damaged file leads them to
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{path}: the model cannot be used: {type(error).__name__}: {reason}") from error
    return detector


def _read_card(path: Path) -> ModelCard:
    if openwakeword.is_named(path):
        return openwakeword.card(path)
    try:
        card = read_card(path)
    except ValidationError as error:
        raise ValueError(f"{path / CARD_FILE}: {format_validation_errors(error.errors())}") from error
    if card.task != "trigger" or card.backbone != openwakeword.BACKBONE:
        raise ValueError(f"{path}: only trigger words on the backbone {openwakeword.BACKBONE!r} are evaluated")
    if [spec.shape for spec in card.inputs] != [(-1, EMBEDDING)]:
        raise ValueError(f"{path / CARD_FILE}: a head takes embeddings, [-1, {EMBEDDING}], and nothing else")
    return card


def _check_weights(path: Path, card: ModelCard) -> None:
    """As the service does, refuse weights that are not the ones the card was written for."""
    if openwakeword.is_named(path):
        return
    if not (path / WEIGHTS_FILE).is_file():
        raise FileNotFoundError(f"{path} holds no {WEIGHTS_FILE}")
    if card.sha256 and runtimes.digest(path) != card.sha256:
        raise ValueError(f"{path}: the weights file is not the one that the card describes (sha256 differs)")
    if not is_zipfile(path / WEIGHTS_FILE):  # of which Keras says that it is not there
        raise ValueError(f"{path / WEIGHTS_FILE} is no Keras file, or not a whole one")


class _Scorer:
    """The backbone, and a head in windows of the lengths that its card allows.

    With a student, the scores on the backbone's embeddings count where a word may have been said, as in a room.
    """

    def __init__(self, network: runtimes.LoadedModel, card: ModelCard, low_rank: LowRankHead | None) -> None:
        self._card = card
        self._embedder = Embedder()
        self._student = Embedder(STUDENT) if card.student else None
        self._low_rank = low_rank
        self._gate = gate(card.decision or Decision())
        self._run = cache(lambda length: _compiled(network, card, length))
        front_end = read_card(FOLDER).front_end
        self._tail = np.zeros(front_end.tail_ms * RATE // 1_000 if front_end else 0, np.float32)

    def __call__(self, samples: Samples) -> Scores:
        padded = np.concatenate([samples, self._tail])
        if self._student is None:
            return self._score(self._embedder, padded)
        first = self._score_by_student(self._student, padded)
        active = candidate_hops(first, self._gate)
        return np.where(active, self._score(self._embedder, padded), first) if active.any() else first

    def _score_by_student(self, student: Embedder, samples: Samples) -> Scores:
        embeddings = self._embed(student, samples)
        if self._low_rank:
            (rough,) = score_words([self._low_rank], embeddings, len(embeddings) - self._card.context)
            if rough.max() < self._gate:
                return rough
        return self._scores(embeddings)

    def _score(self, embedder: Embedder, samples: Samples) -> Scores:
        return self._scores(self._embed(embedder, samples))

    def _embed(self, embedder: Embedder, samples: Samples) -> Embeddings:
        embeddings = _embeddings(embedder, samples)
        before = np.broadcast_to(embedder.silence, (self._card.context, embeddings.shape[1]))
        return np.concatenate([before, embeddings])

    def _scores(self, embeddings: Embeddings) -> Scores:
        """Scores ``[T - context]`` of embeddings ``[T, 96]``, from windows that overlap by the context."""
        lengths, context = self._card.sequence_lengths, self._card.context
        length = min((one for one in lengths if one >= len(embeddings)), default=max(lengths))
        run, name, output = self._run(length), self._card.inputs[0].name, self._card.outputs[0].name
        windows = (
            embeddings[start : start + length] for start in range(0, len(embeddings) - context, length - context)
        )
        padded = (np.pad(window, ((0, length - len(window)), (0, 0)))[None] for window in windows)
        return np.concatenate([run({name: window})[output][0] for window in padded])[: len(embeddings) - context]


def _embeddings(embedder: Embedder, samples: Samples) -> Embeddings:
    """Embeddings ``[n, 96]``, the same as of all samples at once."""
    first = embedder.clip(samples[:_CHUNK])
    starts = range(_CHUNK, len(samples), _CHUNK)
    pieces = (samples[start - _MARGIN * _STEP : start + _CHUNK] for start in starts)
    return np.concatenate([first, *(embedder.clip(piece)[_MARGIN:] for piece in pieces)])


def _compiled(network: runtimes.LoadedModel, card: ModelCard, length: int) -> CompiledFunction:
    embeddings = card.inputs[0]
    return network.compile([embeddings.model_copy(update={"shape": (length, *embeddings.shape[1:])})], 1)
