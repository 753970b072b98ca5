"""How well a detector hears its word, and how often it hears what was not said.

One activation is one upward crossing of the threshold, with the card's patience and refractory time. A word is a hit if
an activation falls into the time that belongs to it. Every activation in a stretch known to be without the word is a
false accept, and the hours of these stretches are what false accepts are counted against.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from trigger_api.datasets.speech import RATE, Samples
from trigger_api.evaluation.trigger.conditions import Condition
from trigger_api.evaluation.trigger.detector import Detector, Scores
from trigger_api.evaluation.trigger.intervals import Interval, per_hour, proportion
from trigger_api.tasks.trigger.detector import Detection


@dataclass(frozen=True)
class Word:
    """Where a word is said, in seconds. An activation from `start` to `until` hears it; delays count from `end`."""

    start: float
    end: float
    until: float


@dataclass(frozen=True)
class Clip:
    """What is known of a recording.

    Attributes:
        name: of the file.
        negative_s: its first seconds that are known to be without the word: all, where the word is not said.
        word: where it is said, if it is.
        speaker: who says it; nobody knows if empty.
        kinds: what words are counted by, such as the kind of telephone.
    """

    name: str
    negative_s: float
    word: Word | None = None
    speaker: str = ""
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoredClip:
    """A clip with its scores ``float32[n]``."""

    clip: Clip
    scores: Scores


@dataclass(frozen=True)
class FalseAccept:
    """An activation where the word was not said."""

    clip: str
    time_s: float
    score: float


@dataclass(frozen=True)
class OperatingPoint:
    """What happens at one threshold. `delays` are seconds from a word's end to the decision, one for each hit."""

    threshold: float
    hits: tuple[Clip, ...]
    missed: tuple[Clip, ...]
    delays: tuple[float, ...]
    false_accepts: tuple[FalseAccept, ...]
    hours: float

    @property
    def words(self) -> int:
        """How often the word was said."""
        return len(self.hits) + len(self.missed)

    @property
    def miss_rate(self) -> Interval:
        """The proportion of words not heard."""
        return proportion(len(self.missed), self.words)

    @property
    def false_accept_rate(self) -> Interval:
        """False accepts an hour."""
        return per_hour(len(self.false_accepts), self.hours)

    @property
    def speakers(self) -> dict[str, int]:
        """How many speakers were heard in all, in some and in none of their clips."""
        heard, unheard = ({clip.speaker for clip in clips if clip.speaker} for clips in (self.hits, self.missed))
        return {"all": len(heard - unheard), "some": len(heard & unheard), "none": len(unheard - heard)}

    def of_kind(self, kind: str) -> OperatingPoint:
        """The same, of words of one kind."""
        pairs = [(clip, delay) for clip, delay in zip(self.hits, self.delays, strict=True) if kind in clip.kinds]
        missed = tuple(clip for clip in self.missed if kind in clip.kinds)
        return replace(self, hits=tuple(c for c, _ in pairs), delays=tuple(d for _, d in pairs), missed=missed)


@dataclass(frozen=True)
class EvaluationRun:
    """A detector and everything it was tried on."""

    detector: Detector
    clips: tuple[ScoredClip, ...]

    @cached_property
    def hours(self) -> float:
        """Hours known to be without the word."""
        return sum(scored.clip.negative_s for scored in self.clips) / 3_600

    def at(self, threshold: float) -> OperatingPoint:
        """Hits and false accepts at a threshold."""
        said = [(one.clip, one.clip.word, self._hit(one, threshold)) for one in self.clips if one.clip.word]
        lag = self.detector.decision.delay_ms / 1_000  # taken off the timestamp, but waited for
        return OperatingPoint(
            threshold,
            tuple(clip for clip, _, hit in said if hit),
            tuple(clip for clip, _, hit in said if not hit),
            tuple(hit.time_ms / 1_000 + lag - word.end for _, word, hit in said if hit and word),
            tuple(self._false_accepts(threshold)),
            self.hours,
        )

    def thresholds(self, most: int) -> list[float]:
        """The lowest threshold at which there are no more than 0, 1, ... `most` false accepts, nor at any above it.

        Tried is what lies at, and just above, each peak of the scores, from the highest down: between two of them
        nothing begins to fire.
        """
        found: list[float] = []
        lowest = 1.0
        for threshold in self._candidates():
            count = sum(1 for _ in self._false_accepts(threshold))
            found += [lowest] * (count - len(found))
            if len(found) > most:
                return found[: most + 1]
            lowest = threshold
        return found + [lowest] * (most + 1 - len(found))

    @cached_property
    def _negatives(self) -> list[tuple[float, ScoredClip]]:
        """The clips in which a false accept is possible, and the highest score of each, the highest first."""
        found = [(float(self._without_word(one).max(initial=0)), one) for one in self.clips if one.clip.negative_s > 0]
        return sorted(found, key=lambda pair: -pair[0])

    def _without_word(self, scored: ScoredClip) -> Scores:
        """The scores of the stretch without the word."""
        if scored.clip.word is None:
            return scored.scores
        heard_ms = 1_000 * scored.clip.negative_s + self.detector.decision.delay_ms
        return scored.scores[: int(heard_ms / self.detector.frame_ms) + 1]

    def _candidates(self) -> Iterator[float]:
        """Thresholds, falling, at which a stretch without the word may begin to fire."""
        patience = self.detector.decision.patience
        peaks = [_peaks(self._without_word(one), patience) for _, one in self._negatives]
        for peak in np.unique(np.concatenate([np.empty(0, np.float32), *peaks]))[::-1]:
            yield from (float(np.nextafter(peak, np.float32(2))), float(peak))

    def _false_accepts(self, threshold: float) -> Iterator[FalseAccept]:
        for _, one in takewhile(lambda pair: pair[0] >= threshold, self._negatives):
            for found in self.detector.detections(one.scores, threshold):
                if one.clip.word is None or found.time_ms < 1_000 * one.clip.negative_s:
                    yield FalseAccept(one.clip.name, found.time_ms / 1_000, found.score)

    def _hit(self, scored: ScoredClip, threshold: float) -> Detection | None:
        """The first activation that belongs to the word."""
        word = scored.clip.word
        found = self.detector.detections(scored.scores, threshold)
        return next((hit for hit in found if word and word.start <= hit.time_ms / 1_000 <= word.until), None)


def score(
    detector: Detector, clips: Iterable[tuple[Clip, Samples]], condition: Condition | None = None, seed: int = 0
) -> EvaluationRun:
    """Let a detector hear clips, 16 kHz mono, each changed by `condition` first, which draws from `seed`."""
    scored = []
    for number, (clip, samples) in enumerate(clips):
        heard = condition(samples, np.random.default_rng([seed, number])) if condition else samples
        scored.append(ScoredClip(clip, detector.scores(heard)))
    return EvaluationRun(detector, tuple(scored))


def without_word(name: str, samples: Samples) -> tuple[Clip, Samples]:
    """A recording in which the word is not said."""
    return Clip(name, len(samples) / RATE), samples


def percentile_ms(seconds: Sequence[float], percent: float) -> int | None:
    """A percentile of some seconds, in whole milliseconds; None of none."""
    return round(1_000 * float(np.percentile(seconds, percent))) if seconds else None


def _peaks(scores: Scores, patience: int) -> Scores:
    """Local maxima of what `patience` scores in a row reach."""
    if len(scores) < patience:
        return scores[:0]
    reached = sliding_window_view(scores, patience).min(axis=-1)
    around = np.pad(reached, 1, constant_values=-1)
    return np.asarray(reached[(reached >= around[:-2]) & (reached > around[2:])], np.float32)
