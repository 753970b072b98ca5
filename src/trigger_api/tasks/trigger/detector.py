"""From scores to detections: threshold, patience and refractory time.

The same object serves a whole clip (one ``push``) and a live stream (many), with the same detections however the scores
are split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_api.model_card import Decision


@dataclass(frozen=True)
class Detection:
    """One detection: the end of the word, in milliseconds from the start, and the score (0..1)."""

    time_ms: int
    score: float


class Debouncer:
    """Turns the scores of one stream into detections, each an upward crossing of the threshold.

    A crossing counts once ``patience`` consecutive scores are at or above the threshold. The scores must fall below it
    before they can cross again, and nothing is detected within ``refractory_ms`` of the last detection.
    """

    def __init__(self, decision: Decision, frame_ms: float) -> None:
        """Start a stream whose k-th score belongs to audio up to ``(k + 1) * frame_ms``."""
        self._decision = decision
        self._threshold = float(np.float32(decision.threshold))  # rounded as in comparisons with float32 arrays
        self._frame_ms = frame_ms
        self._seen = 0
        self._run = 0
        self._ready_ms = 0.0

    def push(self, scores: NDArray[np.floating]) -> list[Detection]:
        """Take the next scores, shape ``(n,)``; return the detections that they complete."""
        above = scores >= self._decision.threshold
        if above.any():
            hits = [self._next(float(score), bool(over)) for score, over in zip(scores, above, strict=True)]
            return [hit for hit in hits if hit is not None]
        if len(scores):  # an empty piece does not end a run
            self._run = 0
        self._seen += len(scores)
        return []

    def step(self, score: float) -> Detection | None:
        """Take one more score, without an array; return the detection that it completes."""
        return self._next(score, score >= self._threshold)

    def _next(self, score: float, above: bool) -> Detection | None:
        self._seen += 1
        if not above:
            self._run = 0
            return None
        self._run += 1
        now_ms = self._seen * self._frame_ms
        if self._run != self._decision.patience or now_ms < self._ready_ms:
            return None
        self._ready_ms = now_ms + self._decision.refractory_ms
        return Detection(max(0, round(now_ms - self._decision.delay_ms)), score)
