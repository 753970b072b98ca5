"""From scores to detections: threshold, patience and refractory time.

The same object serves a whole clip (one ``push``) and a live stream (many), with the same detections however the scores
are split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_api.model_card import Decision

_LOWEST, _HIGHEST = 0.05, 0.999  # scores beyond which a logit says no more about the moment


@dataclass(frozen=True)
class Detection:
    """One detection: the end of the word, in milliseconds from the start, and the score (0..1)."""

    time_ms: int
    score: float


class Debouncer:
    """Turns the scores of one stream into detections, each an upward crossing of the threshold.

    A crossing counts once ``patience`` consecutive scores are at or above the threshold. The scores must fall below it
    before they can cross again, and nothing is detected within ``refractory_ms`` of the last detection.

    Scores may be far apart. With ``interpolated``, a timestamp is that of the moment between two scores at which a
    straight line through their logits crosses the threshold, counted from the middle between them: ``delay_ms`` stays.
    """

    def __init__(self, decision: Decision, frame_ms: float) -> None:
        """Start a stream whose k-th score belongs to audio up to ``(k + 1) * frame_ms``."""
        self._decision = decision
        self._threshold = float(np.float32(decision.threshold))  # rounded as in comparisons with float32 arrays
        self._frame_ms = frame_ms
        self._seen = 0
        self._run = 0
        self._ready_ms = 0.0
        self._previous = 0.0
        self._shift_ms = 0.0

    def push(self, scores: NDArray[np.floating]) -> list[Detection]:
        """Take the next scores, shape ``(n,)``; return the detections that they complete."""
        above = scores >= self._decision.threshold
        if above.any():
            hits = [self._next(float(score), bool(over)) for score, over in zip(scores, above, strict=True)]
            return [hit for hit in hits if hit is not None]
        if len(scores):  # an empty piece does not end a run
            self._run = 0
            self._previous = float(scores[-1])
        self._seen += len(scores)
        return []

    def amend(self, score: float) -> None:
        """Put a better score in the place of the last one, which stays decided on, for the moment of a crossing."""
        self._previous = score

    def step(self, score: float) -> Detection | None:
        """Take one more score, without an array; return the detection that it completes."""
        return self._next(score, score >= self._threshold)

    def _next(self, score: float, above: bool) -> Detection | None:
        self._seen += 1
        previous, self._previous = self._previous, score
        if not above:
            self._run = 0
            return None
        self._run += 1
        if self._run == 1 and self._decision.interpolated:
            self._shift_ms = self._frame_ms * (_crossing(previous, self._threshold, score) - 0.5)
        now_ms = self._seen * self._frame_ms
        if self._run != self._decision.patience or now_ms < self._ready_ms:
            return None
        self._ready_ms = now_ms + self._decision.refractory_ms
        return Detection(max(0, round(now_ms + self._shift_ms - self._decision.delay_ms)), score)


def _crossing(before: float, threshold: float, after: float) -> float:
    """Where between two scores the threshold lies, 0..1."""
    low, level, high = (_logit(score) for score in (before, threshold, after))
    return min(max((level - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def _logit(score: float) -> float:
    """A score as a logit; low ones are alike, since below its gate a student's score stands for the backbone's."""
    bounded = min(max(score, _LOWEST), _HIGHEST)
    return math.log(bounded / (1 - bounded))
