"""What every voice says for a training: the phrase in many pronunciations, its confusables, and other things."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from trigger_api.datasets import phrases, pronunciation
from trigger_api.datasets.tts import Line, Voice

# How differently a word is said decides how many new people are heard; these are sized for minutes on two cores.
_SPEAKERS = 180  # blends of two of Kokoro's voices, beside the 54
_VARIANTS = 300  # pronunciations by Kokoro's voices that no dictionary has
_TAKES = {"flite": 24, "festival": 16, "piper": 16, "kokoro": 1, "espeak-ng": 2}
_ACCENT_TAKES = 4
_OTHERS = {"flite": 60, "festival": 25, "piper": 60, "kokoro": 4, "espeak-ng": 8}
_PROSE = {"flite": 60, "festival": 20, "piper": 25, "kokoro": 1, "espeak-ng": 8}
_NEAR = {"flite": 40, "festival": 15, "piper": 40, "kokoro": 6, "espeak-ng": 8}


@dataclass(frozen=True)
class Script:
    """Lines of one phrase, drawn from a seed; the same voices say the same, whoever else is there."""

    word: str
    voices: Sequence[Voice]
    seed: int

    def said(self) -> list[Line]:
        """The phrase: as it is pronounced, and as people with other mother tongues pronounce it."""
        return [line for voice, rng in self._drawn(self.voices, 0) for line in self._takes(voice, rng)] + self._blends()

    def others(self) -> list[Line]:
        """Words and sentences that do not hold the phrase."""
        words, prose = phrases.others(self.word), phrases.prose(self.word)
        return [
            _line(voice, str(text), rng)
            for voice, rng in self._drawn(self.voices, 1)
            for text in (
                *rng.choice(words, _OTHERS.get(voice.program, 8)),
                *rng.choice(prose, _PROSE.get(voice.program, 8)),
            )
        ]

    def near(self, confusables: Sequence[str]) -> list[Line]:
        """Words near in sound."""
        return [
            _line(voice, str(text), rng)
            for voice, rng in self._drawn(self.voices if confusables else (), 2)
            for text in rng.choice(confusables, _NEAR.get(voice.program, 8))
        ]

    def _takes(self, voice: Voice, rng: np.random.Generator) -> Iterator[Line]:
        if voice.accent:
            spoken = pronunciation.phonemes(self.word)
            for _ in range(_ACCENT_TAKES):
                yield Line(voice, pronunciation.respelled(spoken, rng), _tempo(rng), float(rng.uniform(0.2, 0.8)))
        else:
            for _ in range(_TAKES.get(voice.program, 2)):
                yield _line(voice, self.word, rng)

    def _blends(self) -> list[Line]:
        """Kokoro's voices mixed in twos, saying the phrase plainly, and all kinds of them saying its variants."""
        names = [voice.name for voice in self.voices if voice.program == "kokoro"]
        if not names:
            return []
        rng = np.random.default_rng([self.seed, 3])
        plain = [_line(_blend(names, rng), self.word, rng) for _ in range(_SPEAKERS)]
        spoken = pronunciation.variants(pronunciation.phonemes(self.word), _VARIANTS, rng)
        varied = [
            Line(_blend(names, rng), text, _tempo(rng))
            for text, _ in zip(cycle(spoken), range(_VARIANTS), strict=False)
        ]
        return plain + (varied if spoken else [])

    def _drawn(self, voices: Iterable[Voice], purpose: int) -> Iterator[tuple[Voice, np.random.Generator]]:
        """Every voice with a generator of its own: who else speaks changes nothing."""
        for voice in voices:
            key = zlib.crc32(f"{voice.program} {voice.name}".encode())
            yield voice, np.random.default_rng([self.seed, purpose, key])


def _blend(names: Sequence[str], rng: np.random.Generator) -> Voice:
    first, second = rng.choice(names, 2, replace=False)
    return Voice("kokoro", f"{first}+{second}")


def _line(voice: Voice, text: str, rng: np.random.Generator) -> Line:
    """A line for a voice, as phonemes where it wants those: British ones for a British voice."""
    if voice.takes_phonemes:
        british = voice.program == "kokoro" and voice.name.startswith("b")
        text = pronunciation.phonemes(text, "en-gb" if british else "en-us")
    return Line(voice, text, _tempo(rng), float(rng.uniform(0.2, 0.8)))


def _tempo(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(-0.35, 0.35)))
