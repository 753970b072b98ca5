"""From scores to a decision: the threshold, the words' usual lag, and what each threshold would cost.

Measured on new scenes made from clips of other speech that training did not see. The words in them are those it did
see: misses are therefore flattering, false accepts are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.cards import Decision
from trigger_api.streaming import Decider
from trigger_api.training.corpus import SCENE_SECONDS, Bank

THRESHOLDS = tuple(float(t) for t in 1 / (1 + np.exp(-np.linspace(0, 8, 33))))

_BATCH = 256
_PATIENCE = 2
_REFRACTORY_MS = 1_000


@dataclass(frozen=True)
class Cost:
    """One threshold: false accepts an hour of other speech, and the share of words missed."""

    threshold: float
    false_per_hour: float
    missed: float


def calibrate(network: Any, said: Bank, unsaid: Bank, frame_ms: float) -> tuple[Decision, list[Cost]]:
    """The decision with the lowest threshold (0.5 at least) that hears nothing in `unsaid`; and all costs.

    Args:
        network: the training network, features to logits.
        said: scenes with the word.
        unsaid: scenes without.
        frame_ms: from one score to the next.
    """
    words, others = _scores(network, said), _scores(network, unsaid)
    hours = len(unsaid) * SCENE_SECONDS / 3600
    costs, lags = [], np.zeros(0)
    for threshold in THRESHOLDS:
        decision = Decision(threshold=threshold, patience=_PATIENCE, refractory_ms=_REFRACTORY_MS)
        false = sum(len(Decider(decision, frame_ms).push(row)) for row in others)
        lags = _lags(words, said.ends, decision, frame_ms)
        costs.append(Cost(threshold, false / hours, 1 - len(lags) / len(words)))
        if false == 0:
            break
    delay = max(0, round(1_000 * float(np.median(lags)))) if len(lags) else 0
    return decision.model_copy(update={"delay_ms": delay, "threshold": round(threshold, 4)}), costs


def _scores(network: Any, bank: Bank) -> NDArray[np.float32]:
    parts = [
        np.asarray(network(bank.features[k : k + _BATCH].astype(np.float32), training=False))
        for k in range(0, len(bank), _BATCH)
    ]
    return np.asarray(1 / (1 + np.exp(-np.concatenate(parts))), np.float32)


def _lags(
    rows: NDArray[np.float32], ends: Sequence[float] | NDArray[np.float32], decision: Decision, frame_ms: float
) -> NDArray[np.float64]:
    """Seconds from each word's end to its first detection, for the words that have one near their end."""
    found = [Decider(decision, frame_ms).push(row) for row in rows]
    lags = [hits[0].time_ms / 1000 - float(end) for hits, end in zip(found, ends, strict=True) if hits]
    return np.array([lag for lag in lags if -0.5 <= lag <= 0.5])
