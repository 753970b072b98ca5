"""Digits in two parts: which neighbouring pieces may be one digit that the pen, or a fold, left open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from trigger_api.tasks.digits.components import Piece
from trigger_api.tasks.digits.mnist import Ink

Pair = tuple[int, int]

_APART = 0.3  # of the taller one's height
_WIDEST = 1.2  # of the height of both together
_TALLEST = 2.5  # of the taller one's height
_NEIGHBOURS = 3  # on the right, that a piece is held against


def find_joins(pieces: Sequence[Piece], doubtful: Sequence[bool]) -> Iterator[Pair]:
    """Pairs of pieces, by their numbers, at least one of which is ``doubtful``."""
    order = sorted(range(len(pieces)), key=lambda number: pieces[number].box.left)
    for place, first in enumerate(order):
        for second in order[place + 1 : place + 1 + _NEIGHBOURS]:
            if (doubtful[first] or doubtful[second]) and _may_be_one(pieces[first], pieces[second]):
                yield first, second


def join(first: Piece, second: Piece) -> Piece:
    """Both as one piece."""
    box = first.box.joined(second.box)
    margin = max(*first.ink.shape, *second.ink.shape)
    ink = np.zeros((box.height + 2 * margin, box.width + 2 * margin), np.float32)
    for piece in (first, second):
        _put(ink, piece, box.top - margin, box.left - margin)
    return Piece(box, ink)


def _put(ink: Ink, piece: Piece, top: int, left: int) -> None:
    """Lay a piece's ink on a larger sheet whose upper left corner is at ``top`` and ``left``."""
    row = piece.box.top - top - (piece.ink.shape[0] - piece.box.height) // 2
    column = piece.box.left - left - (piece.ink.shape[1] - piece.box.width) // 2
    field = ink[row : row + piece.ink.shape[0], column : column + piece.ink.shape[1]]
    np.maximum(field, piece.ink, out=field)


def _may_be_one(first: Piece, second: Piece) -> bool:
    tall = max(first.box.height, second.box.height)
    together = first.box.joined(second.box)
    aside = second.box.left - first.box.right
    down = max(first.box.top, second.box.top) - min(first.box.bottom, second.box.bottom)
    near = max(aside, down) <= _APART * tall
    return near and together.width <= _WIDEST * together.height and together.height <= _TALLEST * tall
