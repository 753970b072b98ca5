"""A model folder that listens as the service does: the card's front end, the saved network, the card's decision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.cards import WEIGHTS_FILE, Decision, LogMelFrontEnd, ModelCard, read_card
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

    Raises:
        ValueError: the card names another front end.
        OSError: the folder holds no model.
    """
    import keras
    import tensorflow as tf

    card = read_card(folder)
    if not isinstance(card.front_end, LogMelFrontEnd):
        raise ValueError("only log-mel models are evaluated")
    model = keras.models.load_model(folder / WEIGHTS_FILE, safe_mode=True, compile=False)

    def run(features: Any, state: Any) -> tuple[Any, Any]:
        heard = model({"features": features, "state": state})
        return heard["scores"], heard["state"]

    shape = [tf.TensorSpec((1, None, card.front_end.bands)), tf.TensorSpec((1, card.inputs[1].shape[0]))]
    return Listener(card, LogMel(card.front_end), tf.function(run, input_signature=shape))
