"""How words are written (capitals, digits, marks): the network's vocabulary is lower-cased, so it is told apart."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Casing(IntEnum):
    """How a word or a piece of one is written; 0 is kept for padding."""

    LOWER = 1
    UPPER = 2
    TITLE = 3
    INITIAL = 4
    MIXED = 5
    DIGITS = 6
    OTHER = 7


KINDS = len(Casing) + 1
SHAPES = KINDS * KINDS


def casing(text: str) -> Casing:
    """Tell how ``text`` is written; scripts without capitals are OTHER."""
    if text.islower():
        return Casing.LOWER
    if text.isupper():
        return Casing.UPPER if len(text) > 1 else Casing.INITIAL
    if text[:1].isupper() and text[1:].islower():
        return Casing.TITLE
    if any(letter.isupper() for letter in text):
        return Casing.MIXED
    return Casing.DIGITS if any(letter.isdigit() for letter in text) else Casing.OTHER


def shape(word: str, piece: str) -> int:
    """One number below ``SHAPES`` for the casing of a word and of one piece of it."""
    return KINDS * casing(word) + casing(piece)


def recased(upper: bool) -> NDArray[np.int32]:
    """The table that turns a text's shapes into those of the same text in capitals, or in small letters."""
    kinds = _capitals() if upper else _small_letters()
    return np.asarray([KINDS * kinds[index // KINDS] + kinds[index % KINDS] for index in range(SHAPES)], np.int32)


def _small_letters() -> Sequence[int]:
    letters = (Casing.UPPER, Casing.TITLE, Casing.INITIAL, Casing.MIXED)
    return [Casing.LOWER if kind in letters else kind for kind in range(KINDS)]


def _capitals() -> Sequence[int]:
    letters = (Casing.LOWER, Casing.TITLE, Casing.MIXED)
    return [Casing.UPPER if kind in letters else kind for kind in range(KINDS)]
