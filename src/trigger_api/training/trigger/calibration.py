"""From scores to a decision: the threshold, the words' usual lag, and what each threshold would cost.

Measured on new scenes made from clips of other speech that training did not see, but for single sounds of them where
words are spliced. The words in them are those it did see: misses are therefore flattering, false accepts are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.cards import Decision
from trigger_api.streaming import Decider
from trigger_api.training.trigger.corpus import SCENE_SECONDS, Bank

# False accepts an hour of scenes in which somebody speaks all the time, a third of it words by themselves: harder
# than life by about six times.
SENSITIVITIES = {"low": 1.0, "medium": 4.0, "high": 12.0}
THRESHOLDS = tuple(float(t) for t in 1 / (1 + np.exp(-np.linspace(0, 8, 33))))

_BATCH = 256
_PATIENCE = 1  # of a word through a telephone, one score may be certain and its neighbours not
_REFRACTORY_MS = 1_000


@dataclass(frozen=True)
class Cost:
    """One threshold: false accepts an hour of other speech, and the share of words missed."""

    threshold: float
    false_per_hour: float
    missed: float


def calibrate(
    network: Any, said: Bank, unsaid: Bank, frame_ms: float, least: Mapping[str, float] | None = None
) -> tuple[Decision, list[Cost]]:
    """A decision with a threshold for each of `SENSITIVITIES`, "medium" being the default; and all costs.

    Args:
        network: the training network, features to logits.
        said: scenes with the word.
        unsaid: scenes without.
        frame_ms: from one score to the next.
        least: thresholds that sensitivities have at least.
    """
    words, others = _scores(network, said), _scores(network, unsaid)
    hours = len(unsaid) * SCENE_SECONDS / 3600
    costs = []
    for decision in map(_decision, THRESHOLDS):
        false = sum(len(Decider(decision, frame_ms).push(row)) for row in others)
        missed = 1 - len(_lags(words, said.ends, decision, frame_ms)) / len(words)
        costs.append(Cost(decision.threshold, false / hours, missed))
    least = least or {}
    levels = {name: max(cheapest(costs, allowed), least.get(name, 0.0)) for name, allowed in SENSITIVITIES.items()}
    chosen = _decision(levels["medium"])
    lags = _lags(words, said.ends, chosen, frame_ms)
    delay = max(0, round(1_000 * float(np.median(lags)))) if len(lags) else 0
    return chosen.model_copy(update={"delay_ms": delay, "sensitivities": levels}), costs


def cheapest(costs: Sequence[Cost], allowed: float) -> float:
    """The lowest threshold from which on no more false accepts an hour than allowed are made; the highest if none."""
    dear = [number for number, cost in enumerate(costs) if cost.false_per_hour > allowed]
    return round(costs[min(max(dear, default=-1) + 1, len(costs) - 1)].threshold, 4)


def _decision(threshold: float) -> Decision:
    return Decision(threshold=threshold, patience=_PATIENCE, refractory_ms=_REFRACTORY_MS)


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
