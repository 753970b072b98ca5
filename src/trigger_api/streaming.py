"""Scores become detections: threshold, patience and refractory time. No model and no network here.

The same small object decides over a whole clip (one `push`) and over a live stream (many), with the same answers
however the scores are cut into pieces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_api.cards import Decision


@dataclass(frozen=True)
class Detection:
    """The word was heard: where it ended, in milliseconds from the stream's start, and the score (0..1)."""

    time_ms: int
    score: float


class Decider:
    """Watches the scores of one stream; a detection is one upward crossing of the threshold.

    A crossing counts once `patience` consecutive scores are at or above the threshold. The scores must fall below it
    before they can cross again, and nothing is reported within `refractory_ms` of the last detection.
    """

    def __init__(self, decision: Decision, frame_ms: float) -> None:
        """Start a stream whose k-th score belongs to audio up to ``(k + 1) * frame_ms``."""
        self._decision = decision
        self._frame_ms = frame_ms
        self._seen = 0
        self._run = 0
        self._ready_ms = 0.0

    def push(self, scores: NDArray[np.floating]) -> list[Detection]:
        """Take the next scores, shape ``(n,)``, and return the detections that they complete."""
        found: list[Detection] = []
        above = scores >= self._decision.threshold
        if above.any():
            found = [hit for k in range(len(scores)) if (hit := self._step(k, scores, bool(above[k]))) is not None]
        elif len(scores):  # an empty piece says nothing of the run that came before it
            self._run = 0
        self._seen += len(scores)
        return found

    def _step(self, k: int, scores: NDArray[np.floating], above: bool) -> Detection | None:
        self._run = self._run + 1 if above else 0
        now_ms = (self._seen + k + 1) * self._frame_ms
        if self._run != self._decision.patience or now_ms < self._ready_ms:
            return None
        self._ready_ms = now_ms + self._decision.refractory_ms
        return Detection(max(0, round(now_ms - self._decision.delay_ms)), float(scores[k]))
