"""A photo at falling sizes, laid on two canvases, so that one look at both finds faces of every size.

P-Net looks at 12 x 12 pixels, at every second one. Each size is cut into a left and a right half, which overlap by what
one look spans, so that two processors may look at once; on the canvases sizes lie side by side at even places, and only
those of P-Net's answers are read whose 12 pixels lie within one size: there is nothing that a neighbour could disturb.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.media.image import Pixels

CELL, STRIDE = 12, 2
"""Pixels that P-Net looks at, and from one look to the next."""
SMALLEST = 20
"""The smallest face that is looked for, pixels."""
_FACTOR = 0.709  # from one size to the next: half the area
_LONGEST, _MOST_PIXELS = 1280, 1_000_000  # of a photo; larger ones are made smaller
_ONE_THREAD = 200_000  # multiplications that NumPy's BLAS does in the calling thread; for more it wakes up others

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Level:
    """One size of the photo: what it is multiplied by, its pixels, and its place on both canvases (even numbers)."""

    scale: float
    height: int
    width: int
    top: int = 0
    left: int = 0

    @property
    def cut(self) -> int:
        """Where the right half begins, in pixels of this size: half of the looks lie before it."""
        return STRIDE * -(-_looks(self.width) // 2)

    @property
    def halves(self) -> tuple[slice, slice]:
        """The columns of this size that lie on each canvas."""
        return slice(0, min(self.cut + CELL - STRIDE, self.width)), slice(self.cut, self.width)

    def answers(self, maps: Array) -> Array:
        """P-Net's answers for this size, ``(..., rows, columns)``, of those for both canvases ``(2, ..., n, n)``."""
        row, column, first = self.top // STRIDE, self.left // STRIDE, self.cut // STRIDE
        rows = maps[..., row : row + _looks(self.height), :]
        counts = first, _looks(self.width) - first
        halves = [half[..., column : column + count] for half, count in zip(rows, counts, strict=True)]
        return np.concatenate(halves, axis=-1)


def _looks(length: int) -> int:
    """How many looks P-Net takes along some pixels; the last one may see one beyond them."""
    return -(-length // STRIDE) - CELL // STRIDE + 1


@dataclass(frozen=True)
class Pyramid:
    """A photo at falling sizes.

    Attributes:
        planes: the photo, smaller if it was large, ``(3, height, width)``: colours 0..255.
        ratio: what the original was multiplied by.
        levels: its sizes, largest first.
    """

    planes: Array
    ratio: float
    levels: tuple[Level, ...]


def build(pixels: Pixels, sides: Sequence[int]) -> tuple[Pyramid, Array]:
    """Make a photo's pyramid.

    Args:
        pixels: the photo, ``(height, width, 3)``.
        sides: of the canvases there are, ascending. The smallest that do are taken; should none, the photo is made
            smaller.

    Returns:
        The pyramid, and the halves of its sizes on canvases, ``(2, 4, side, side)``: colours 0..255, and 255 in the row
        and the column after odd sides.
    """
    small, ratio = _bounded(pixels)
    while (placed := _placed(_levels(*small.shape[:2]), sides)) is None:
        small, ratio = _shrunk(small, 0.75), ratio * 0.75
    side, levels = placed
    planes = small.transpose(2, 0, 1).astype(np.float32, order="C")
    return Pyramid(planes, ratio, levels), _laid(planes, levels, side)


def _bounded(pixels: Pixels) -> tuple[Pixels, float]:
    height, width = pixels.shape[:2]
    ratio = min(1.0, _LONGEST / max(height, width), (_MOST_PIXELS / (height * width)) ** 0.5)
    return (pixels, 1.0) if ratio == 1 else (_shrunk(pixels, ratio), ratio)


def _shrunk(pixels: Pixels, ratio: float) -> Pixels:
    size = max(1, round(pixels.shape[1] * ratio)), max(1, round(pixels.shape[0] * ratio))
    return np.asarray(PIL.Image.fromarray(pixels).resize(size, PIL.Image.Resampling.BILINEAR, reducing_gap=2.0))


def _levels(height: int, width: int) -> list[Level]:
    """The sizes at which faces from ``SMALLEST`` pixels up to the whole photo fill P-Net's 12."""
    count = round(-np.log(min(height, width) / CELL) / np.log(_FACTOR)) - 1
    scales = CELL / SMALLEST * _FACTOR ** np.arange(max(count, 0))
    levels = [Level(float(scale), int(height * scale), int(width * scale)) for scale in scales]
    return [level for level in levels if min(level.height, level.width) >= CELL]


def _placed(levels: Sequence[Level], sides: Sequence[int]) -> tuple[int, tuple[Level, ...]] | None:
    area = sum(level.height * level.halves[0].stop for level in levels)
    for side in sides:
        if side * side >= area and (found := _packed(levels, side)) is not None:
            return side, found
    return None


def _packed(levels: Sequence[Level], side: int) -> tuple[Level, ...] | None:
    """Places on a square canvas; None if they do not fit. Each goes where the least room is left beside it."""
    free, found = [(0, 0, side, side)], []
    for level in levels:
        height, width = (-(-length // STRIDE) * STRIDE for length in (level.height, level.halves[0].stop))
        fitting = [place for place in free if place[2] >= height and place[3] >= width]
        if not fitting:
            return None
        place = min(fitting, key=lambda place: min(place[2] - height, place[3] - width))
        free.remove(place)
        free += _left_over(place, height, width)
        found.append(Level(level.scale, level.height, level.width, place[0], place[1]))
    return tuple(found)


def _left_over(place: tuple[int, int, int, int], height: int, width: int) -> list[tuple[int, int, int, int]]:
    """The two rectangles (top, left, height, width) that stay free, cut so that one is as large as can be."""
    top, left, high, wide = place
    if (high - height) * wide >= (wide - width) * high:
        return [(top + height, left, high - height, wide), (top, left + width, height, wide - width)]
    return [(top, left + width, high, wide - width), (top + height, left, high - height, width)]


def _laid(planes: Array, levels: Sequence[Level], side: int) -> Array:
    """The photo at each size on the canvases: a pixel is the mean of the area that it covers."""
    _, height, width = planes.shape
    canvases = np.zeros((2, 4, side, side), np.float32)
    highest, widest = (max((getattr(level, name) for level in levels), default=0) for name in ("height", "width"))
    low, small = np.empty((3, highest, width), np.float32), np.empty((3, highest, widest), np.float32)
    for level in levels:
        for to, taken, shares in _shares(height, level.height, width):
            np.matmul(shares, planes[:, taken], out=low[:, to])
        for to, taken, shares in _shares(width, level.width, level.height):
            np.matmul(low[:, : level.height, taken], shares.T, out=small[:, : level.height, to])
        for canvas, half in zip(canvases, level.halves, strict=True):
            place = canvas[:, level.top :, level.left :]
            place[:3, : level.height, : half.stop - half.start] = small[:, : level.height, half]
            _mark(place[3], level.height, half.stop - half.start)
    return canvases


@lru_cache(maxsize=128)
def _shares(size: int, count: int, breadth: int) -> list[tuple[slice, slice, Array]]:
    """How pixels in a line are shared out among ``count`` equal parts of it, as means.

    It is a matrix that is 0 beside its diagonal, so it comes in blocks along that. A camera sends one size again and
    again: the last ones are kept.

    Args:
        size: of the line, pixels.
        count: of the parts.
        breadth: lines side by side, which tell how large a block may be.

    Returns:
        Which parts, of which pixels, and their shares ``(parts, pixels)``.
    """
    part = size / count
    many = int(np.clip((_ONE_THREAD / (part * breadth)) ** 0.5, 1, 16))
    edges = np.minimum(np.arange(-(-count // many) * many + 1) * part, size)
    first = edges[:-1:many].astype(np.intp)
    reach = first[:, None, None] + np.arange(int(np.ceil(many * part)) + 1)
    starts, ends = (some.reshape(-1, many, 1) for some in (edges[:-1], edges[1:]))
    shares = ((np.minimum(ends, reach + 1) - np.maximum(starts, reach)).clip(0) / part).astype(np.float32)
    blocks = []
    for number, at in enumerate(first.tolist()):
        to = slice(number * many, min((number + 1) * many, count))
        taken = slice(at, min(at + reach.shape[2], size))
        blocks.append((to, taken, shares[number, : to.stop - to.start, : taken.stop - taken.start]))
    return blocks


def _mark(plane: Array, height: int, width: int) -> None:
    """Mark the row and the column after odd sides."""
    plane[height : height + height % STRIDE, : width + width % STRIDE] = 255
    plane[:height, width : width + width % STRIDE] = 255
