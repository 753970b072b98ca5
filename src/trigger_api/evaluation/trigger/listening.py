"""A model folder that listens as the service does: the card's front end, the saved network, the card's decision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from trigger_api.cards import CARD_FILE, WEIGHTS_FILE, Decision, LogMelFrontEnd, ModelCard, read_card
from trigger_api.errors import in_words
from trigger_api.runtimes import digest
from trigger_api.streaming import Decider, Detection
from trigger_api.tasks.log_mel import LogMel

Scores = NDArray[np.float32]


class Spotter(ABC):
    """Turns samples into scores and scores into detections."""

    @property
    @abstractmethod
    def decision(self) -> Decision:
        """Threshold, patience and refractory time."""

    @property
    @abstractmethod
    def frame_ms(self) -> float:
        """Milliseconds from one score to the next."""

    @abstractmethod
    def scores(self, samples: NDArray[np.float32]) -> Scores:
        """Scores ``float32[n]`` of 16 kHz mono samples."""

    def detections(self, scores: Scores, threshold: float | None = None) -> list[Detection]:
        """What would be reported for these scores, at the decision's threshold or another."""
        chosen = {} if threshold is None else {"threshold": threshold}
        return Decider(self.decision.model_copy(update=chosen), self.frame_ms).push(scores)


@dataclass(frozen=True)
class Listener(Spotter):
    """A model folder, heard as the service hears it."""

    card: ModelCard
    front: LogMel
    network: Callable[[NDArray[np.float32], Any], tuple[Any, Any]]

    @property
    def decision(self) -> Decision:
        """The card's decision, or the defaults."""
        return self.card.decision or Decision()

    @property
    def frame_ms(self) -> float:
        """Milliseconds from one score to the next."""
        return self.card.frame_ms or 40.0

    def scores(self, samples: NDArray[np.float32]) -> Scores:
        """Scores ``float32[n]`` of 16 kHz mono samples and the silence after them, from windows chained by state."""
        tail = np.zeros(self.front.front_end.tail_ms * self.front.front_end.sample_rate // 1000, np.float32)
        features = self.front.features(np.concatenate([samples, tail]))
        step, window = min(self.card.lengths), max(self.card.lengths)
        state, parts = np.zeros((1, self.card.inputs[1].shape[0]), np.float32), []
        for start in range(0, len(features), window):
            piece = features[start : start + window]
            padded = np.pad(piece, ((0, -len(piece) % step), (0, 0)))[None]
            scores, state = self.network(padded, state)
            parts.append(np.asarray(scores)[0])
        return np.concatenate(parts)[: int(len(features) * 10 / self.frame_ms)]


def load(folder: Path) -> Listener:
    """The listener of a model folder with a log-mel front end.

    It has listened once: what can be read may still not run, and what TensorFlow prepares is not the model's work.

    Raises:
        ValueError: the card names another front end or is none, or the weights are not its own or cannot be used.
        OSError: the folder holds no model.
    """
    card, front_end = _card(folder)
    _check_weights(folder, card)
    try:
        listener = Listener(card, LogMel(front_end), _network(folder / WEIGHTS_FILE, card, front_end))
        listener.scores(np.zeros(front_end.sample_rate, np.float32))
    except ImportError:  # no fault of the folder
        raise
    except Exception as error:  # Keras and TensorFlow raise whatever a damaged file leads them to
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{folder}: the model cannot be used: {type(error).__name__}: {reason}") from error
    return listener


def _card(folder: Path) -> tuple[ModelCard, LogMelFrontEnd]:
    """The card of a model that listens to a stream, and its front end."""
    try:
        card = read_card(folder)
    except ValidationError as error:
        raise ValueError(f"{folder / CARD_FILE}: {in_words(error.errors())}") from error
    if not isinstance(card.front_end, LogMelFrontEnd):
        raise ValueError("only log-mel models are evaluated")
    if [spec.name for spec in card.inputs] != ["features", "state"] or not card.lengths:
        raise ValueError(f"{folder / CARD_FILE}: a stream needs the inputs features and state, and lengths")
    return card, card.front_end


def _check_weights(folder: Path, card: ModelCard) -> None:
    """As the service does, refuse weights that are not the ones the card was written for."""
    if not (folder / WEIGHTS_FILE).is_file():
        raise FileNotFoundError(f"{folder} holds no {WEIGHTS_FILE}")
    if card.sha256 and digest(folder) != card.sha256:
        raise ValueError(f"{folder}: the weights file is not the one that the card describes (sha256 differs)")
    if not is_zipfile(folder / WEIGHTS_FILE):  # of which Keras says that it is not there
        raise ValueError(f"{folder / WEIGHTS_FILE} is no Keras file, or not a whole one")


def _network(path: Path, card: ModelCard, front_end: LogMelFrontEnd) -> Callable[[Any, Any], tuple[Any, Any]]:
    import keras
    import tensorflow as tf

    model = keras.models.load_model(path, safe_mode=True, compile=False)

    def run(features: Any, state: Any) -> tuple[Any, Any]:
        heard = model({"features": features, "state": state})
        return heard["scores"], heard["state"]

    shape = [tf.TensorSpec((1, None, front_end.bands)), tf.TensorSpec((1, card.inputs[1].shape[0]))]
    function: Callable[[Any, Any], tuple[Any, Any]] = tf.function(run, input_signature=shape)
    return function
