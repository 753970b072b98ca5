"""Splits words into pieces of the network's vocabulary (WordPiece), with the shape of each piece."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.entities.casing import word_shape
from trigger_api.tasks.entities.compounds import parts
from trigger_api.tasks.entities.piece_splitter import PieceSplitter

PADDING, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIALS = (PADDING, UNKNOWN, BEGIN, END)
# This many pieces say all that a word can say; the rest of an endless one is dropped.
_MAX_PIECES = 16
_MAX_LETTERS = 400
_SURROGATES = re.compile("[\ud800-\udfff]")

Integers = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Pieces:
    """A sentence in pieces: vocabulary rows, the part each belongs to, and its shape; all of shape ``(pieces,)``.

    Parts are words, or those of hyphenated words. Every part has at least one piece, and they come in order.
    """

    rows: Integers
    parts: Integers
    shapes: Integers


class Wordpieces:
    """A vocabulary of pieces; row 0 is padding."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.row = {piece: row for row, piece in enumerate(vocabulary)}
        self._splitter = PieceSplitter(self.row, self.row[UNKNOWN])

    @classmethod
    def load(cls, path: Path) -> Wordpieces:
        """Read a vocabulary, one piece per line.

        Raises:
            OSError: the file cannot be read.
        """
        return cls(path.read_text(encoding="utf-8").rstrip("\n").split("\n"))

    def split(self, words: Sequence[str]) -> Pieces:
        """Split every part of every word; one that normalises to nothing, or cannot be encoded, becomes unknown."""
        safe = [_SURROGATES.sub("\ufffd", word) for word in words]
        found = [self._part(word[:_MAX_LETTERS], part[:_MAX_LETTERS]) for word in safe for part in parts(word)]
        return _pieces(found)

    def _part(self, word: str, part: str) -> list[tuple[int, int]]:
        """Rows and shapes of the pieces of a word's part."""
        pieces = self._splitter.split(part)[:_MAX_PIECES] or [(self.row[UNKNOWN], 0, len(part))]
        return [(row, word_shape(word, part[start:end])) for row, start, end in pieces]


def _pieces(found: Sequence[Sequence[tuple[int, int]]]) -> Pieces:
    flat = [(row, part, shape) for part, pieces in enumerate(found) for row, shape in pieces]
    rows, owners, shapes = np.asarray(flat, np.int32).reshape(-1, 3).T
    return Pieces(rows, owners, shapes)
