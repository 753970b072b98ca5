"""Words spliced together from what people said: every sound of them is real, and they come from many mouths.

Where nobody real says a word, a network that hears synthetic voices alone learns how those sound. Other words are
spliced in the same way, so that it does not learn to hear the cuts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trigger_api.training.trigger.lookalikes import Sounds
from trigger_api.training.trigger.phones import HOP, SILENCE, SOUNDS, Utterance
from trigger_api.training.trigger.recordings import Samples, Spoken

_LONGEST = 3  # sounds in a row from one mouth
_SHORT, _LONG = 3, 25  # frames of a sound
_OVERLAP = HOP // 2
_LEVEL = 0.1

_NUMBER = {sound: number for number, sound in enumerate(SOUNDS)}
Run = tuple[int, ...]


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
        self._runs: dict[Run, list[Cut]] = defaultdict(list)
        for number, one in enumerate(people):
            for run, start, end in _runs(one):
                self._runs[run].append(Cut(number, start, end))

    def splice(self, sounds: Sounds, rng: np.random.Generator) -> Spoken | None:
        """A word of these sounds; None where one of them was never heard."""
        wanted, parts = tuple(_NUMBER[sound] for sound in sounds), []
        while wanted:
            known = [size for size in range(1, _LONGEST + 1) if len(wanted) >= size and wanted[:size] in self._runs]
            if not known:
                return None
            size = known[-1] if rng.random() < 0.7 else int(rng.choice(known))
            cuts = self._runs[wanted[:size]]
            parts.append(self._samples(cuts[int(rng.integers(len(cuts)))]))
            wanted = wanted[size:]
        samples = _joined(parts)
        return Spoken(samples, len(samples))

    def _samples(self, cut: Cut) -> Samples:
        clip = self._clips[cut.utterance]
        start = max(0, cut.start * HOP - _OVERLAP)
        return clip[start : cut.end * HOP + _OVERLAP]


def _levelled(one: Utterance) -> Samples:
    heard = one.samples[: len(one.labels) * HOP]
    spoken = np.repeat(one.labels != SILENCE, HOP)[: len(heard)]
    power = float((heard[spoken] ** 2).mean()) if spoken.any() else 0.0
    return np.asarray(heard * (_LEVEL / np.sqrt(power + 1e-9)), np.float32)


def _runs(one: Utterance) -> list[tuple[Run, int, int]]:
    edges = np.flatnonzero(np.diff(one.labels.astype(int), prepend=-1, append=-1))
    sounds = [(int(one.labels[a]), int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    found = []
    for first in range(len(sounds)):
        for size in range(1, _LONGEST + 1):
            row = sounds[first : first + size]
            if len(row) < size or any(s == SILENCE or not _SHORT <= b - a <= _LONG for s, a, b in row):
                break
            found.append((tuple(s for s, _, _ in row), row[0][1], row[-1][2]))
    return found


def _joined(parts: Sequence[Samples]) -> Samples:
    """One after another; each fades into the next."""
    fade = np.linspace(0, 1, 2 * _OVERLAP, dtype=np.float32)
    word = parts[0]
    for part in parts[1:]:
        size = min(len(fade), len(word), len(part))
        slope = fade[:size]
        seam = word[len(word) - size :] * (1 - slope) + part[:size] * slope
        word = np.concatenate([word[: len(word) - size], seam, part[size:]])
    return word
