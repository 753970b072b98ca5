"""From scores to a decision: thresholds by how often people who say other things would be misheard.

Measured on recordings that training did not see, by speaker where file names tell; as they are, by other voices, in
scenes and by telephone. They are too few hours to count one false accept in ten: the rates of the highest scores are
extrapolated, for their tail falls off exponentially.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.evaluation.trigger.embedder import STEP_SECONDS
from trigger_api.model_card import Decision
from trigger_api.training.trigger.scenes import NO_WORD, Bank

RATES = {"low": 0.1, "medium": 0.5, "high": 2.0}
"""False accepts an hour of people talking, of each sensitivity."""
# No lower threshold is believed: held-out recordings come from the same collections as those that were trained on, and
# other rooms and telephones are misheard more often.
LEAST = {"low": 0.7, "medium": 0.45, "high": 0.22}
REFRACTORY_MS = 1_000

_TAIL = 25  # peaks that the tail is fitted to
_APART = round(REFRACTORY_MS / 1000 / STEP_SECONDS)
_MOST = 0.9999

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tail:
    """How often a logit is exceeded: `rate` times an hour at `start`, e times less for each `scale` above."""

    start: float
    scale: float
    rate: float

    def threshold(self, rate: float) -> float:
        """The score (0..1) that is exceeded so many times an hour."""
        logit = self.start + self.scale * np.log(self.rate / rate)
        return float(min(1 / (1 + np.exp(-logit)), _MOST))


def peaks(logits: Floats) -> Floats:
    """The highest logits of a recording that are a refractory time apart, highest first."""
    left, found = logits.copy(), []
    while len(left) and np.isfinite(left.max()):
        place = int(left.argmax())
        found.append(left[place])
        left[max(0, place - _APART) : place + _APART + 1] = -np.inf
    return np.array(found)


def tail(highest: Floats, hours: float) -> Tail:
    """The tail of the highest logits of so many hours; their mean excess over the lowest of them is its scale."""
    top = np.sort(highest)[::-1][: _TAIL + 1]
    excess = float((top[:-1] - top[-1]).mean()) if len(top) > 1 else 1.0
    return Tail(float(top[-1]), max(excess, 0.1), (len(top) - 1 or 1) / hours)


def thresholds(highest: Floats, hours: float) -> dict[str, float]:
    """A threshold for each of `RATES`."""
    fitted = tail(highest, hours)
    return {name: round(max(fitted.threshold(rate), LEAST[name]), 4) for name, rate in RATES.items()}


def decision(levels: Mapping[str, float], network: Any, said: Bank, lead: NDArray[np.float32]) -> Decision:
    """The card's decision; its delay is the median lag from the end of the word to the first score that suffices."""
    chosen = Decision(
        threshold=levels["medium"], refractory_ms=REFRACTORY_MS, interpolated=True, sensitivities=dict(levels)
    )
    lags = _lags(network, said, lead, chosen.threshold)
    return chosen.model_copy(update={"delay_ms": max(0, round(1000 * float(np.median(lags)))) if len(lags) else 0})


def _lags(network: Any, said: Bank, lead: NDArray[np.float32], threshold: float) -> Floats:
    """Seconds from each word's end to the first score above the threshold near it."""
    rows = said.ends != NO_WORD
    before = np.broadcast_to(lead, (int(rows.sum()), *lead.shape))
    embeddings = np.concatenate([before, said.embeddings[rows].astype(np.float32)], axis=1)
    scores = np.asarray(network({"embeddings": embeddings})["scores"])
    times = (np.arange(scores.shape[1]) + 1) * STEP_SECONDS
    found = [(times[row >= threshold][:1] - end).tolist() for row, end in zip(scores, said.ends[rows], strict=True)]
    return np.array([lag for lags in found for lag in lags if -0.3 <= lag <= 0.5])


def logits(scores: Sequence[float] | NDArray[np.floating[Any]]) -> Floats:
    """Scores as logits, finite."""
    bounded = np.clip(np.asarray(scores, np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.log(bounded / (1 - bounded)))
