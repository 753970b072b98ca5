"""Splits words into pieces of the network's vocabulary (WordPiece), with the shape of each piece."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from trigger_api.tasks.entities.casing import word_shape
from trigger_api.tasks.entities.compounds import parts

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
        self._tokenizer = Tokenizer(WordPiece(self.row, unk_token=UNKNOWN, max_input_chars_per_word=100))
        self._tokenizer.normalizer = BertNormalizer(lowercase=True)
        self._tokenizer.pre_tokenizer = BertPreTokenizer()

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
        whole = [word[:_MAX_LETTERS] for word in safe for _ in parts(word)]
        flat = [part[:_MAX_LETTERS] for word in safe for part in parts(word)]
        encoding = self._tokenizer.encode(flat, is_pretokenized=True, add_special_tokens=False)
        found: list[list[tuple[int, int]]] = [[] for _ in flat]
        for row, part, (start, end) in zip(encoding.ids, encoding.word_ids, encoding.offsets, strict=True):
            if part is not None:
                found[part].append((row, word_shape(whole[part], flat[part][start:end])))
        for part, pieces in enumerate(found):
            found[part] = pieces[:_MAX_PIECES] or [(self.row[UNKNOWN], word_shape(whole[part], flat[part]))]
        return _pieces(found)


def _pieces(found: Sequence[Sequence[tuple[int, int]]]) -> Pieces:
    flat = [(row, part, shape) for part, pieces in enumerate(found) for row, shape in pieces]
    rows, owners, shapes = np.asarray(flat, np.int32).reshape(-1, 3).T
    return Pieces(rows, owners, shapes)
