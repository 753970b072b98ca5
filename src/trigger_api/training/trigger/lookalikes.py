"""Words that sound like a phrase, out of PocketSphinx's pronouncing dictionary, where that is installed."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.util import find_spec

_DICTIONARY = "model/en-us/cmudict-en-us.dict"
NEAREST = 24
"""Of the words near in sound, those that a model is measured with."""
Sounds = tuple[str, ...]


@cache
def dictionary() -> dict[str, Sounds]:
    """The sounds of each word that is nothing but letters; empty where there is no dictionary."""
    return {word: sounds for word, sounds in _entries().items() if word.isalpha()}


@cache
def _entries() -> dict[str, Sounds]:
    """Words with an apostrophe or a hyphen (o'clock, wake-up), too."""
    if not find_spec("pocketsphinx"):
        return {}
    lines = (files("pocketsphinx") / _DICTIONARY).read_text(encoding="utf-8").splitlines()
    return {word: tuple(sounds) for word, *sounds in (line.split() for line in lines)}


def pronounced(phrase: str) -> Sounds | None:
    """The sounds of a phrase; None where a word of it is not known."""
    known = _entries()
    if not all(word in known for word in phrase.split()):
        return None
    return tuple(sound for word in phrase.split() for sound in known[word])


def lookalikes(phrase: str, count: int = 60) -> list[str]:
    """The words nearest in sound to a phrase, nearest first, but those that begin with it."""
    known, wanted = dictionary(), pronounced(phrase)
    if wanted is None:
        return []
    near = {
        word: distance(wanted, sounds) / max(len(wanted), len(sounds))
        for word, sounds in known.items()
        if abs(len(sounds) - len(wanted)) <= 3 and sounds[: len(wanted)] != wanted
    }
    return sorted(near, key=near.__getitem__)[:count]


def contains(sounds: Sounds, part: Sounds) -> bool:
    """Whether some sounds are among others, in a row."""
    return any(sounds[first : first + len(part)] == part for first in range(len(sounds) - len(part) + 1))


def distance(one: Sounds, other: Sounds) -> int:
    """How many sounds must be put in, taken out or changed (Levenshtein)."""
    row = list(range(len(other) + 1))
    for left, a in enumerate(one, 1):
        before, row[0] = row[0], left
        for right, b in enumerate(other, 1):
            before, row[right] = row[right], min(row[right] + 1, row[right - 1] + 1, before + (a != b))
    return row[-1]
