"""Word-shape features: how words are written. The network's vocabulary is in lower case and does not show it."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Casing(IntEnum):
    """How a word or a piece of one is written; 0 is reserved for padding."""

    LOWER = 1
    UPPER = 2
    TITLE = 3
    INITIAL = 4
    MIXED = 5
    DIGITS = 6
    OTHER = 7


CASINGS = len(Casing) + 1
WORD_SHAPES = CASINGS * CASINGS
_TO_UPPER = (Casing.LOWER, Casing.TITLE, Casing.MIXED)
_TO_LOWER = (Casing.UPPER, Casing.TITLE, Casing.INITIAL, Casing.MIXED)


def casing(text: str) -> Casing:
    """How ``text`` is written; scripts without capitals are OTHER."""
    if text.islower():
        return Casing.LOWER
    if text.isupper():
        return Casing.UPPER if len(text) > 1 else Casing.INITIAL
    if text[:1].isupper() and text[1:].islower():
        return Casing.TITLE
    if any(letter.isupper() for letter in text):
        return Casing.MIXED
    return Casing.DIGITS if any(letter.isdigit() for letter in text) else Casing.OTHER


def word_shape(word: str, piece: str) -> int:
    """One number below ``WORD_SHAPES`` for the casing of a word and of one piece of it."""
    return CASINGS * casing(word) + casing(piece)


def recased_shapes(upper: bool) -> NDArray[np.int32]:
    """A lookup table from the shapes of a text to those of the same text in upper case, or in lower case."""
    changed, to = (_TO_UPPER, Casing.UPPER) if upper else (_TO_LOWER, Casing.LOWER)
    casings = [to if number in changed else number for number in range(CASINGS)]
    shapes = [CASINGS * casings[shape // CASINGS] + casings[shape % CASINGS] for shape in range(WORD_SHAPES)]
    return np.asarray(shapes, np.int32)
