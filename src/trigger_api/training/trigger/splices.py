"""Words spliced together from what people said: every sound of them is real, and they come from many mouths.

Where nobody real says a word, a network that hears synthetic voices alone learns how those sound. Other words are
spliced in the same way, so that it does not learn to hear the cuts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trigger_api.training.trigger.lookalikes import Sounds, dictionary, pronounced
from trigger_api.training.trigger.phones import HOP, SILENCE, SOUNDS, Utterance
from trigger_api.training.trigger.recordings import Samples, Spoken

SAID, OTHERS, NEAR = 800, 600, 300
_LONGEST = 3  # sounds in a row from one mouth
_LONG_ONES = 0.7  # how often the longest known row is taken
_FEWEST, _MOST = 4, 10  # sounds of another word
_SHORT, _LONG = 3, 25  # frames of a sound
_OVERLAP = HOP // 2
_LEVEL = 0.1

_NUMBER = {sound: number for number, sound in enumerate(SOUNDS)}
Run = tuple[int, ...]


@dataclass(frozen=True)
class Splices:
    """The word, and other words."""

    said: Sequence[Spoken] = ()
    others: Sequence[Samples] = ()


@dataclass(frozen=True)
class Cut:
    """Some sounds in a row: in which utterance, from and to which frame."""

    utterance: int
    start: int
    end: int


class Splicer:
    """Every run of sounds that was heard."""

    def __init__(self, people: Sequence[Utterance]) -> None:
        self._clips = [_levelled(one) for one in people]
        self._cuts: dict[Run, list[Cut]] = defaultdict(list)
        for number, one in enumerate(people):
            for run, start, end in _runs(one.labels):
                self._cuts[run].append(Cut(number, start, end))

    def splice(self, sounds: Sounds, rng: np.random.Generator) -> Samples | None:
        """A word of these sounds; None where one of them was never heard."""
        rest, parts = tuple(_NUMBER[sound] for sound in sounds), []
        while rest:
            known = [size for size in range(1, min(_LONGEST, len(rest)) + 1) if rest[:size] in self._cuts]
            if not known:
                return None
            size = known[-1] if rng.random() < _LONG_ONES else int(rng.choice(known))
            cuts = self._cuts[rest[:size]]
            parts.append(self._samples(cuts[int(rng.integers(len(cuts)))]))
            rest = rest[size:]
        return _joined(parts)

    def _samples(self, cut: Cut) -> Samples:
        return self._clips[cut.utterance][max(0, cut.start * HOP - _OVERLAP) : cut.end * HOP + _OVERLAP]


def splices(people: Sequence[Utterance], phrase: str, words: Sequence[str], near: Sequence[str], seed: int) -> Splices:
    """The phrase, and any of some `words` and of those `near` in sound.

    There are none if its pronunciation is not known, or a sound of it was never heard.
    """
    sounds, splicer, rng = pronounced(phrase), Splicer(people), np.random.default_rng(seed)
    if sounds is None:
        return Splices()
    said = [Spoken(samples, len(samples)) for samples in _spliced(splicer, [sounds], SAID, rng)]
    if not said:
        return Splices()
    others = [own for own in (dictionary()[word] for word in words) if _FEWEST <= len(own) <= _MOST]
    nearby = [dictionary()[word] for word in near]
    return Splices(said, [*_spliced(splicer, others, OTHERS, rng), *_spliced(splicer, nearby, NEAR, rng)])


def _spliced(splicer: Splicer, words: Sequence[Sounds], count: int, rng: np.random.Generator) -> list[Samples]:
    """Any of the words so many times, without those that have a sound which was never heard."""
    chosen = rng.integers(len(words), size=count) if words else ()
    made = (splicer.splice(words[number], rng) for number in chosen)
    return [samples for samples in made if samples is not None]


def _levelled(one: Utterance) -> Samples:
    """As loud, where somebody speaks, as all others."""
    heard = one.samples[: len(one.labels) * HOP]
    spoken = heard[np.repeat(one.labels != SILENCE, HOP)[: len(heard)]]
    power = float((spoken**2).mean()) if len(spoken) else 0.0
    return np.asarray(heard * (_LEVEL / np.sqrt(power + 1e-9)), np.float32)


def _runs(labels: NDArray[np.uint8]) -> Iterator[tuple[Run, int, int]]:
    """All rows of sounds, with the frames from and to which they last."""
    edges = np.flatnonzero(np.diff(labels.astype(int), prepend=-1, append=-1))
    row = [(int(labels[a]), int(a), int(b)) for a, b in pairwise(edges)]
    for first in range(len(row)):
        for last in range(first, min(first + _LONGEST, len(row))):
            sound, start, end = row[last]
            if sound == SILENCE or not _SHORT <= end - start <= _LONG:
                break
            yield tuple(sound for sound, _, _ in row[first : last + 1]), row[first][1], end


def _joined(parts: Sequence[Samples]) -> Samples:
    """One after another; each fades into the next."""
    word = parts[0]
    for part in parts[1:]:
        slope = np.linspace(0, 1, min(2 * _OVERLAP, len(word), len(part)), dtype=np.float32)
        seam = word[len(word) - len(slope) :] * (1 - slope) + part[: len(slope)] * slope
        word = np.concatenate([word[: len(word) - len(slope)], seam, part[len(slope) :]])
    return word
