"""Scores become detections: threshold, patience and refractory time. No model and no network here.

The same small object decides over a whole clip (one `push`) and over a live stream (many), with the same answers
however the scores are cut into pieces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_api.model_card import Decision


@dataclass(frozen=True)
class Detection:
    """The word was heard: where it ended, in milliseconds from the stream's start, and the score (0..1)."""

    time_ms: int
    score: float


class Debouncer:
    """Watches the scores of one stream; a detection is one upward crossing of the threshold.

    A crossing counts once `patience` consecutive scores are at or above the threshold. The scores must fall below it
    before they can cross again, and nothing is reported within `refractory_ms` of the last detection.
    """

    def __init__(self, decision: Decision, frame_ms: float) -> None:
        """Start a stream whose k-th score belongs to audio up to ``(k + 1) * frame_ms``."""
        self._decision = decision
        self._threshold = float(np.float32(decision.threshold))  # as arrays of single precision compare with it
        self._frame_ms = frame_ms
        self._seen = 0
        self._run = 0
        self._ready_ms = 0.0

    def push(self, scores: NDArray[np.floating]) -> list[Detection]:
        """Take the next scores, shape ``(n,)``, and return the detections that they complete."""
        above = scores >= self._decision.threshold
        if above.any():
            hits = [self._next(float(score), bool(over)) for score, over in zip(scores, above, strict=True)]
            return [hit for hit in hits if hit is not None]
        if len(scores):  # an empty piece says nothing of the run that came before it
            self._run = 0
        self._seen += len(scores)
        return []

    def step(self, score: float) -> Detection | None:
        """Take the next score alone, one of a network's: no array is made for it."""
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
