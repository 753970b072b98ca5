"""Confusables: words, and pairs of words, that sound like a phrase without being it.

The words are those of PocketSphinx's pronouncing dictionary, if it is installed. What the dictionary lacks, names or
"R2 D2", is pronounced by espeak-ng.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from itertools import product

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets import pronunciation

_DICTIONARY = "model/en-us/cmudict-en-us.dict"
NEAREST = 24
"""How many of the words that sound alike a model is measured with."""
Sounds = tuple[str, ...]
Table = NDArray[np.str_]
"""Sounds of a word in each row, and empty ones after the last."""

_LONGER = 3  # more or fewer sounds that a confusable may have than the phrase
_PAIRS, _HALF = 12, 2  # pairs of words, and the minimum of sounds in either
# From espeak-ng's alphabet to the dictionary's (ARPAbet); longer symbols first.
_ARPABET = {
    "eɪ": "EY",
    "aɪ": "AY",
    "oʊ": "OW",
    "aʊ": "AW",
    "ɔɪ": "OY",
    "dʒ": "JH",
    "tʃ": "CH",
    "ɜː": "ER",
    "iː": "IY",
    "uː": "UW",
    "ɑː": "AA",
    "ɔː": "AO",
    "ɚ": "ER",
    "æ": "AE",
    "ɪ": "IH",
    "ᵻ": "IH",
    "ɛ": "EH",
    "ʌ": "AH",
    "ʊ": "UH",
    "ə": "AH",
    "ɐ": "AH",
    "ɑ": "AA",
    "ɔ": "AO",
    "i": "IY",
    "u": "UW",
    "a": "AA",
    "o": "OW",
    "e": "EY",
    "θ": "TH",
    "ð": "DH",
    "ɹ": "R",
    "ɾ": "T",
    "ʃ": "SH",
    "ʒ": "ZH",
    "ŋ": "NG",
    "j": "Y",
    "h": "HH",
    "ɡ": "G",
    **{letter: letter.upper() for letter in "wvtdkpbzslnmf"},
}
_SYMBOL = re.compile("|".join(sorted(_ARPABET, key=len, reverse=True)))


@cache
def dictionary() -> dict[str, Sounds]:
    """The sounds of each word that consists of letters only; empty if there is no dictionary."""
    return {word: sounds for word, sounds in _entries().items() if word.isalpha()}


@cache
def _entries() -> dict[str, Sounds]:
    """All words, including those with an apostrophe or a hyphen (o'clock, wake-up)."""
    if not find_spec("pocketsphinx"):
        return {}
    lines = (files("pocketsphinx") / _DICTIONARY).read_text(encoding="utf-8").splitlines()
    return {word: tuple(sounds) for word, *sounds in (line.split() for line in lines)}


@cache
def sounds_of(phrase: str) -> Sounds:
    """The sounds of a phrase, from the dictionary or else from espeak-ng; none if neither knows them."""
    known = _entries()
    if all(word in known for word in phrase.split()):
        return tuple(sound for word in phrase.split() for sound in known[word])
    try:
        return tuple(_ARPABET[symbol] for symbol in _SYMBOL.findall(pronunciation.phonemes(phrase)))
    except (OSError, subprocess.SubprocessError):
        return ()


def confusables(phrase: str, count: int = 60) -> list[str]:
    """What sounds most like a phrase without starting with it, nearest first.

    This includes pairs of words that together sound like it ("active eight"), and the single words of a phrase.
    """
    known, wanted = dictionary(), sounds_of(phrase)
    if not (known and wanted):
        return []
    near = {
        word: steps / max(len(wanted), len(known[word]))
        for word, steps in _words_near(wanted, _LONGER)
        if not _begins(known[word], wanted)
    }
    pairs = {pair: _unlike(wanted, sounds_of(pair)) for pair in _pairs(wanted) if sounds_of(pair) != wanted}
    nearest = sorted(near, key=near.__getitem__)[: count - len(pairs)] + list(pairs)
    return [text for text in dict.fromkeys([*_partly(phrase.split()), *nearest]) if text != phrase]


def _partly(words: Sequence[str]) -> list[str]:
    """Each word of a longer phrase by itself, and the phrase with one word replaced by one that sounds like it."""
    if len(words) < 2:
        return []
    changed = [
        " ".join([*words[:place], near, *words[place + 1 :]])
        for place, word in enumerate(words)
        for near in _nearest(sounds_of(word), 6)
        if sounds_of(near) != sounds_of(word)
    ]
    return [*words, *changed]


def _pairs(wanted: Sounds) -> list[str]:
    """Pairs of words that together sound nearly as wanted."""
    found: dict[str, float] = {}
    for split in range(_HALF, len(wanted) - _HALF + 1):
        for first, second in product(_nearest(wanted[:split]), _nearest(wanted[split:])):
            found[f"{first} {second}"] = _unlike(wanted, (*dictionary()[first], *dictionary()[second]))
    return sorted(found, key=found.__getitem__)[:_PAIRS]


@cache
def _nearest(wanted: Sounds, count: int = 3) -> list[str]:
    """The words nearest to some sounds."""
    near = sorted((steps, word) for word, steps in _words_near(wanted, 1))
    return [word for _, word in near[:count]]


def _words_near(wanted: Sounds, more: int) -> Iterator[tuple[str, int]]:
    """The words that have at most so many more or fewer sounds, and the distance of each."""
    words, table = _table()
    chosen = np.flatnonzero(abs((table != "").sum(axis=1) - len(wanted)) <= more)
    yield from zip((words[row] for row in chosen), _distances(wanted, table[chosen]).tolist(), strict=True)


@cache
def _table() -> tuple[list[str], Table]:
    """The dictionary's words and their sounds."""
    return list(dictionary()), _stacked(list(dictionary().values()))


def _stacked(rows: Sequence[Sounds]) -> Table:
    width = max(map(len, rows), default=0)
    return np.array([(*row, *[""] * (width - len(row))) for row in rows], "U2").reshape(len(rows), width)


def _begins(sounds: Sounds, wanted: Sounds) -> bool:
    return sounds[: len(wanted)] == wanted


def _unlike(wanted: Sounds, sounds: Sounds) -> float:
    return distance(wanted, sounds) / max(len(wanted), len(sounds))


def distance(one: Sounds, other: Sounds) -> int:
    """How many sounds must be inserted, deleted or changed (Levenshtein distance)."""
    return int(_distances(one, _stacked([other]))[0])


def _distances(wanted: Sounds, rows: Table) -> NDArray[np.int16]:
    """The distance of every row, all at once: the dictionary has a hundred thousand."""
    lengths = (rows != "").sum(axis=1)
    columns = np.ascontiguousarray(rows.T[: lengths.max(initial=0)])
    before = np.tile(np.arange(len(columns) + 1, dtype=np.int16)[:, None], len(rows))
    for left, sound in enumerate(wanted, 1):
        row = np.full_like(before, left)
        changed = before[:-1] + (sound != columns)
        for right in range(1, len(row)):
            row[right] = np.minimum(np.minimum(before[right], row[right - 1]) + 1, changed[right - 1])
        before = row
    return np.asarray(before[lengths, np.arange(len(rows))])
