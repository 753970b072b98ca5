"""From ink to pieces that may be a digit each: connected strokes, with what was broken off put back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from trigger_api.tasks.digits.mnist import Ink

MOST_PIECES: Final = 400
_PIXEL = 0.3  # ink from which a pixel belongs to a stroke
_LEAST_HEIGHT = 7  # pixels; a smaller digit cannot be read
_SPECK, _SCRAP = 0.12, 0.25  # of the writing's height: what is smaller is dropped, at once or if it belongs to nothing
_FRAGMENT = 0.6  # of the writing's height: what is smaller may have been broken off
_NEAR = 0.15  # of the writing's height
_EIGHT = np.ones((3, 3), bool)
_MARGIN = 1


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows from ``top`` up to ``bottom``, columns from ``left`` up to ``right``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def middle(self) -> tuple[float, float]:
        """Row and column."""
        return (self.top + self.bottom) / 2, (self.left + self.right) / 2

    def joined(self, other: Box) -> Box:
        """The box around both."""
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


@dataclass(frozen=True)
class Piece:
    """Some strokes and nothing else: their box, and the ink in it, shape ``(height, width)``."""

    box: Box
    ink: Ink


def find_pieces(ink: Ink) -> list[Piece]:
    """The pieces of a page that may be digits, in no order; none of a page that is all specks."""
    labels, count = ndimage.label(ink > _PIXEL, _EIGHT)
    boxes = [_box(slices) for slices in ndimage.find_objects(labels)]
    if not count:
        return []
    tall = _writing_height(boxes, np.bincount(labels.reshape(-1))[1:])
    kept = [number for number, box in enumerate(boxes) if max(box.height, box.width) >= max(_SPECK * tall, 3)]
    if len(kept) > 4 * MOST_PIECES:
        return []
    groups = _joined([boxes[number] for number in kept], tall)
    made = [_piece(ink, labels, [kept[member] + 1 for member in group], boxes) for group in groups]
    least = max(_LEAST_HEIGHT, _SCRAP * tall)
    high = [piece for piece in made if max(piece.box.height, piece.box.width) >= least]
    return high if len(high) <= MOST_PIECES else []


def largest_parts(piece: Piece) -> Piece:
    """A piece without the scraps of others that a cut left in it."""
    labels, count = ndimage.label(piece.ink > _PIXEL, _EIGHT)
    if count < 2:
        return piece
    areas = np.bincount(labels.reshape(-1))
    areas[0] = 0
    kept = ndimage.binary_dilation((areas > 0.2 * areas.max())[labels], _EIGHT)
    return Piece(piece.box, np.asarray(piece.ink * kept, np.float32))


def _box(slices: tuple[slice, ...]) -> Box:
    rows, columns = slices
    return Box(rows.start, columns.start, rows.stop, columns.stop)


def _writing_height(boxes: list[Box], areas: NDArray[np.intp]) -> float:
    """The height in which half of the ink is written."""
    heights = np.array([box.height for box in boxes])
    order = np.argsort(heights)
    half = np.searchsorted(np.cumsum(areas[order]), areas.sum() / 2)
    return float(heights[order[min(half, len(order) - 1)]])


def _joined(boxes: list[Box], tall: float) -> list[list[int]]:
    """Put fragments to what they were broken off: groups of numbers."""
    parents = list(range(len(boxes)))

    def root(number: int) -> int:
        while parents[number] != number:
            number = parents[number]
        return number

    for first, second in _belonging(boxes, tall):
        parents[root(first)] = root(second)
    groups: dict[int, list[int]] = {}
    for number in range(len(boxes)):
        groups.setdefault(root(number), []).append(number)
    return list(groups.values())


def _belonging(boxes: list[Box], tall: float) -> Iterable[Sequence[int]]:
    """Pairs of boxes one of which is a fragment, above, below or within the other, or right beside it."""
    if not boxes:
        return []
    top, left, bottom, right = np.array([(box.top, box.left, box.bottom, box.right) for box in boxes]).T
    height, width = bottom - top, right - left
    down = np.maximum(top[:, None], top) - np.minimum(bottom[:, None], bottom)
    aside = np.maximum(left[:, None], left) - np.minimum(right[:, None], right)
    over = -aside >= 0.5 * np.minimum(width[:, None], width)
    together = np.maximum(bottom[:, None], bottom) - np.minimum(top[:, None], top)
    small = np.minimum(height[:, None], height) < _FRAGMENT * np.minimum(
        np.maximum(height[:, None], height), tall * 1.5
    )
    stacked = over & (down <= _NEAR * tall) & (together <= 1.5 * tall)
    beside = (aside <= _NEAR / 3 * tall) & (down < 0) & small
    pairs: list[list[int]] = np.argwhere(np.triu((stacked & small) | beside, 1)).tolist()
    return pairs


def _piece(ink: Ink, labels: NDArray[np.integer], members: list[int], boxes: list[Box]) -> Piece:
    box = boxes[members[0] - 1]
    for member in members[1:]:
        box = box.joined(boxes[member - 1])
    wide = Box(max(box.top - _MARGIN, 0), max(box.left - _MARGIN, 0), box.bottom + _MARGIN, box.right + _MARGIN)
    window = np.s_[wide.top : wide.bottom, wide.left : wide.right]
    # The soft edge of a stroke lies beyond the pixels that count as its own.
    own = ndimage.binary_dilation(np.isin(labels[window], members), _EIGHT)
    return Piece(box, np.asarray(ink[window] * own, np.float32))
