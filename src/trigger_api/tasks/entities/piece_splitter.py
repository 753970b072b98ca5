"""Splits a word into pieces of a vocabulary as BERT does (Devlin et al.): normalised, cut at punctuation, matched.

The package ``tokenizers`` does the same, and a test compares the two. It brings along a client of a model hub, 40 MB
that a service never needs.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

_MAX_LETTERS = 100  # of a run without punctuation; a longer one is unknown
_PUNCTUATION = frozenset(string.punctuation)
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip

Letter = tuple[str, int]
"""A letter in its normal form, and the place in the text that it comes from."""
Piece = tuple[int, int, int]
"""A row of the vocabulary, and where in the text the piece starts and ends."""


class PieceSplitter:
    """A vocabulary, in which the pieces that continue a word begin with ``##``.

    Args:
        rows: the row of each piece.
        unknown: the row of what has no pieces.
    """

    def __init__(self, rows: Mapping[str, int], unknown: int) -> None:
        self._rows = rows
        self._unknown = unknown
        self._most = max(map(len, rows), default=0)

    def split(self, text: str) -> list[Piece]:
        """The pieces of a text, the longest that fit from the left."""
        return [piece for run in _runs(normalise(text)) for piece in self._match(run)]

    def _match(self, run: Sequence[Letter]) -> list[Piece]:
        whole = [(self._unknown, run[0][1], run[-1][1] + 1)]
        if len(run) > _MAX_LETTERS:
            return whole
        letters, start, found = "".join(letter for letter, _ in run), 0, []
        while start < len(run):
            stop, row = self._longest(letters, start)
            if row is None:
                return whole
            found.append((row, run[start][1], run[stop - 1][1] + 1))
            start = stop
        return found

    def _longest(self, letters: str, start: int) -> tuple[int, int | None]:
        prefix = "##" if start else ""
        for stop in range(min(len(letters), start + self._most), start, -1):
            row = self._rows.get(prefix + letters[start:stop])
            if row is not None:
                return stop, row
        return start, None


def normalise(text: str) -> list[Letter]:
    """Small letters without accents and control characters; white space and ideographs stand apart."""
    if text.isascii() and text.isalnum():
        return [(letter, place) for place, letter in enumerate(text.lower())]
    return [(letter, place) for place, given in enumerate(text) for letter in _normalised(given)]


def _normalised(given: str) -> str:
    if given.isspace():
        return " "
    if given in "\0\ufffd" or unicodedata.category(given) in ("Cc", "Cf", "Co"):
        return ""
    if any(first <= ord(given) <= last for first, last in _IDEOGRAPHS):
        return f" {unicodedata.normalize('NFD', given)} "
    plain = (letter for letter in unicodedata.normalize("NFD", given) if unicodedata.category(letter) != "Mn")
    return "".join(letter.lower() for letter in plain)


def _runs(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
    """Cut at white space, and before and after each punctuation mark."""
    run: list[Letter] = []
    for letter in letters:
        apart = letter[0] in _PUNCTUATION or unicodedata.category(letter[0])[0] == "P"
        if (apart or letter[0].isspace()) and run:
            yield run
            run = []
        if apart:
            yield [letter]
        elif not letter[0].isspace():
            run.append(letter)
    if run:
        yield run
