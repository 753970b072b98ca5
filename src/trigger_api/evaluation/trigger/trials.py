"""How well a trigger model hears its word, and how often it hears what was not said.

Everything goes through the path that serves: front end, network with carried state, threshold, patience, refractory
time. One activation is one upward crossing. An activation within a word or the half second after it is a hit, one for
each word; every other one is a false accept, and the hours it is counted against are those without the word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_api.evaluation.trigger.listening import Scores, Spotter
from trigger_api.evaluation.trigger.rates import Rate, per_hour, share
from trigger_api.streaming import Detection
from trigger_api.training.trigger.recordings import RATE, Samples, audio_files, read, speech_span

AFTER_SECONDS = 0.5
THRESHOLDS = tuple(float(t) for t in 1 / (1 + np.exp(-np.linspace(-3, 9, 61))))

Change = Callable[[Samples, np.random.Generator], Samples]


@dataclass(frozen=True)
class Clip:
    """16 kHz samples, and where in them the word is said (seconds), if it is."""

    name: str
    samples: Samples
    word: tuple[float, float] | None = None


@dataclass(frozen=True)
class Take:
    """A recording: its scores, its length, and where in it the word is said (seconds), if it is."""

    name: str
    scores: Scores
    seconds: float
    word: tuple[float, float] | None = None


@dataclass(frozen=True)
class Point:
    """What happens at one threshold. `lags` are seconds from a word's end to the decision, one for each hit."""

    threshold: float
    words: int
    hits: int
    false_accepts: int
    hours: float
    lags: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def misses(self) -> Rate:
        """The share of words not heard."""
        return share(self.words - self.hits, self.words)

    @property
    def false_rate(self) -> Rate:
        """False accepts an hour."""
        return per_hour(self.false_accepts, self.hours)


@dataclass(frozen=True)
class Trial:
    """A model and everything it listened to."""

    listener: Spotter
    takes: tuple[Take, ...]
    work: float  # seconds of processor time that the scores took

    @property
    def cost(self) -> float:
        """Seconds of work for a second of audio."""
        return self.work / max(sum(take.seconds for take in self.takes), 1e-9)

    def at(self, threshold: float) -> Point:
        """Hits and false accepts at a threshold."""
        heard = [(take, self.listener.detections(take.scores, threshold)) for take in self.takes]
        words = [(take, found, _hit(take, found)) for take, found in heard if take.word is not None]
        hits = [(hit.time_ms / 1000 - take.word[1]) for take, _, hit in words if hit is not None and take.word]
        activations = sum(len(found) for _, found in heard)
        hours = sum(take.seconds for take in self.takes if take.word is None) / 3600
        delay = self.listener.decision.delay_ms / 1000
        lags = tuple(error + delay for error in hits)
        return Point(threshold, len(words), len(hits), activations - len(hits), hours, lags, tuple(hits))

    def curve(self) -> list[Point]:
        """A point for each of `THRESHOLDS`, ascending."""
        return [self.at(threshold) for threshold in THRESHOLDS]

    def allowing(self, false_accepts: int) -> Point:
        """The point with the lowest threshold at which there are no more false accepts than this."""
        low, high = 0.0, 1.0
        best = self.at(high)
        for _ in range(24):
            middle = (low + high) / 2
            point = self.at(middle)
            low, high, best = (low, middle, point) if point.false_accepts <= false_accepts else (middle, high, best)
        return best


def clips(folders: Iterable[Path], *, said: bool) -> Iterator[Clip]:
    """Recordings below some folders. `said`: each holds the word once, as its loudest stretch of speech."""
    for path in audio_files(folders):
        yield clip(path.name, read(path), said=said)


def clip(name: str, samples: Samples, *, said: bool) -> Clip:
    """A clip with its word found by energy."""
    span = speech_span(samples) if said else None
    return Clip(name, samples, (span[0] / RATE, span[1] / RATE) if span else None)


def listen(listener: Spotter, heard: Iterable[Clip], change: Change | None = None, seed: int = 0) -> Trial:
    """Let a model hear clips, each put into noise or a room by `change` first, which draws from `seed`."""
    takes, work = [], 0.0
    for number, one in enumerate(heard):
        samples = one.samples if change is None else change(one.samples, np.random.default_rng([seed, number]))
        begun = time.process_time()  # reading and mixing are not the model's work
        scores = listener.scores(samples)
        work += time.process_time() - begun
        takes.append(Take(one.name, scores, len(samples) / RATE, one.word))
    return Trial(listener, tuple(takes), work)


def merged(trials: Sequence[Trial]) -> Trial:
    """All takes of several trials with the same model."""
    takes = tuple(take for trial in trials for take in trial.takes)
    return replace(trials[0], takes=takes, work=sum(trial.work for trial in trials))


def _hit(take: Take, found: Sequence[Detection]) -> Detection | None:
    """The first activation that belongs to the word."""
    assert take.word is not None
    start, end = take.word
    return next((hit for hit in found if start <= hit.time_ms / 1000 <= end + AFTER_SECONDS), None)


def percentile(values: Sequence[float], share_below: float) -> float:
    """A percentile of some seconds; NaN of none."""
    array: NDArray[np.float64] = np.asarray(values, np.float64)
    return float(np.percentile(array, share_below)) if len(array) else float("nan")
