"""Digits that touch: where a piece may be cut, and which of all the ways to cut it is the likeliest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from trigger_api.tasks.digits.components import Box, Piece, largest_parts

Span = tuple[int, int]
"""From one cut to another, by their numbers; cut 0 is the left edge, the last one the right edge."""

MOST_CUTS: Final = 18
_EACH = -0.2  # of a logarithm: of ways as likely, that of fewer digits is better
_WIDE = 0.8  # of its height: narrower pieces are one digit, if any
_NARROWEST, _WIDEST = 0.12, 1.3  # of the height: how wide one digit of several may be
_APART = 0.1  # of the height between one cut and the next


def may_be_several(piece: Piece) -> bool:
    """Whether a piece is wide enough for two digits."""
    return piece.box.width >= _WIDE * piece.box.height and piece.box.width >= 8


def find_cuts(piece: Piece) -> list[int]:
    """Columns to cut at, the two edges included, from left to right.

    Where little ink would be cut, and, as round digits touch where both are upright, here and there between.
    """
    profile = ndimage.gaussian_filter1d(_crossings(piece), max(0.6, 0.02 * piece.box.height))
    apart = max(2, round(_APART * piece.box.height), len(profile) // MOST_CUTS)
    columns = np.arange(apart, len(profile) - apart + 1)
    lowest = ndimage.minimum_filter1d(profile, 2 * apart + 1)[columns] >= profile[columns]
    found = [0, len(profile)]
    for column in [*columns[lowest].tolist(), *columns.tolist()]:
        if min(abs(column - other) for other in found) >= apart:
            found.append(column)
    return sorted(found)


def spans(piece: Piece, cuts: list[int]) -> dict[Span, Piece]:
    """The part of a piece between any two of its cuts that is as wide as a digit."""
    made = {}
    for first in range(len(cuts) - 1):
        for last in range(first + 1, len(cuts)):
            width = cuts[last] - cuts[first]
            if _NARROWEST * piece.box.height <= width <= _WIDEST * piece.box.height:
                part = _part(piece, cuts[first], cuts[last])
                if part is not None:
                    made[first, last] = part
    return made


def likeliest(scores: Mapping[Span, float], last: int) -> list[Span]:
    """The spans that cover all from cut 0 to the ``last``, of the greatest sum of scores, which are logarithms.

    Empty if no spans cover it.
    """
    best: dict[int, tuple[float, list[Span]]] = {0: (0.0, [])}
    for end in range(1, last + 1):
        ways = [
            (best[start][0] + score + _EACH, [*best[start][1], (start, stop)])
            for (start, stop), score in scores.items()
            if stop == end and start in best
        ]
        if ways:
            best[end] = max(ways, key=lambda way: way[0])
    return best.get(last, (0.0, []))[1]


def _crossings(piece: Piece) -> NDArray[np.float64]:
    """How much ink a cut at each column would go through; a little more where the piece is tall."""
    mask = piece.ink > 0.3
    height = mask.shape[0]
    tops = np.where(mask.any(axis=0), np.argmax(mask, axis=0), height)
    bottoms = np.where(mask.any(axis=0), height - np.argmax(mask[::-1], axis=0), 0)
    return np.asarray(piece.ink.sum(axis=0) + 0.15 * np.maximum(bottoms - tops, 0), np.float64)


def _part(piece: Piece, left: int, right: int) -> Piece | None:
    ink = piece.ink[:, left:right]
    part = largest_parts(Piece(piece.box, ink))
    rows, columns = np.flatnonzero((part.ink > 0.3).any(axis=1)), np.flatnonzero((part.ink > 0.3).any(axis=0))
    if not len(rows) or rows[-1] - rows[0] < 0.3 * piece.box.height:
        return None
    edge = (piece.ink.shape[1] - piece.box.width) // 2
    above = (piece.ink.shape[0] - piece.box.height) // 2
    start = piece.box.left - edge + left
    top = piece.box.top - above
    box = Box(top + int(rows[0]), start + int(columns[0]), top + int(rows[-1]) + 1, start + int(columns[-1]) + 1)
    return Piece(box, part.ink)
