"""A photo at falling sizes, laid on one canvas, so that one inference looks for faces of every size.

P-Net looks at 12 x 12 pixels, at every second one. Sizes lie side by side at even places, and only those of its answers
are read whose 12 pixels lie within one size: so there is nothing that a neighbour could disturb.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    """One size of the photo: what it is multiplied by, its pixels, and its place on the canvas (even numbers)."""

    scale: float
    height: int
    width: int
    top: int = 0
    left: int = 0

    @property
    def cells(self) -> tuple[slice, slice]:
        """Where P-Net's answers for it are."""
        return _looks(self.top, self.height), _looks(self.left, self.width)


@dataclass(frozen=True)
class Pyramid:
    """A photo ready to be looked at.

    Attributes:
        planes: the photo, smaller if it was large, ``(3, height, width)``, 0..255.
        ratio: what the original was multiplied by.
        levels: its sizes, largest first.
        canvas: all of them, ``(4, side, side)``: colours 0..255, and 255 in the row and column after odd sides.
    """

    planes: Array
    ratio: float
    levels: tuple[Level, ...]
    canvas: Array


def _looks(start: int, length: int) -> slice:
    """Which of P-Net's answers lie within some pixels; the last one may see one beyond them."""
    first = start // STRIDE
    return slice(first, first + -(-length // STRIDE) - CELL // STRIDE + 1)


def build(pixels: Pixels, sides: Sequence[int]) -> Pyramid:
    """Make a photo's pyramid.

    Args:
        pixels: the photo, ``(height, width, 3)``.
        sides: the canvases there are, ascending. The smallest that holds it all is taken; should none do, the photo is
            made smaller.
    """
    small, ratio = _bounded(pixels)
    while (placed := _placed(_levels(*small.shape[:2]), sides)) is None:
        small, ratio = _shrunk(small, 0.75), ratio * 0.75
    side, levels = placed
    planes = small.transpose(2, 0, 1).astype(np.float32, order="C")
    return Pyramid(planes, ratio, levels, _laid(planes, levels, side))


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
    area = sum(level.height * level.width for level in levels)
    for side in sides:
        if side * side >= area and (found := _packed(levels, side)) is not None:
            return side, found
    return None


def _packed(levels: Sequence[Level], side: int) -> tuple[Level, ...] | None:
    """Places on a square canvas; None if they do not fit. Each goes where the least room is left beside it."""
    free, found = [(0, 0, side, side)], []
    for level in levels:
        height, width = (-(-length // STRIDE) * STRIDE for length in (level.height, level.width))
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
    """The photo at each size on the canvas: a pixel is the mean of the area that it covers."""
    canvas = np.zeros((4, side, side), np.float32)
    low = np.empty((3, max((level.height for level in levels), default=0), planes.shape[2]), np.float32)
    for level in levels:
        place = canvas[:, level.top :, level.left :]
        for to, taken, shares in _shares(planes.shape[1], level.height, planes.shape[2]):
            np.matmul(shares, planes[:, taken], out=low[:, to])
        for to, taken, shares in _shares(planes.shape[2], level.width, level.height):
            np.matmul(low[:, : level.height, taken], shares.T, out=place[:3, : level.height, to])
        _mark(place[3], level)
    return canvas


def _shares(size: int, count: int, breadth: int) -> Iterator[tuple[slice, slice, Array]]:
    """How pixels in a line are shared out among ``count`` equal parts of it, as means.

    It is a matrix that is 0 beside its diagonal, so it comes in blocks along that.

    Args:
        size: of the line, pixels.
        count: of the parts.
        breadth: lines side by side, which tell how large a block may be.

    Yields:
        Which parts, of which pixels, and their shares ``(parts, pixels)``.
    """
    part = size / count
    many = int(np.clip((_ONE_THREAD / (part * breadth)) ** 0.5, 1, 16))
    edges = np.minimum(np.arange(-(-count // many) * many + 1) * part, size)
    first = edges[:-1:many].astype(np.intp)
    reach = first[:, None, None] + np.arange(int(np.ceil(many * part)) + 1)
    starts, ends = (some.reshape(-1, many, 1) for some in (edges[:-1], edges[1:]))
    shares = ((np.minimum(ends, reach + 1) - np.maximum(starts, reach)).clip(0) / part).astype(np.float32)
    for number, at in enumerate(first.tolist()):
        to = slice(number * many, min((number + 1) * many, count))
        taken = slice(at, min(at + reach.shape[2], size))
        yield to, taken, shares[number, : to.stop - to.start, : taken.stop - taken.start]


def _mark(plane: Array, level: Level) -> None:
    """Mark the row and the column after odd sides."""
    height, width = level.height, level.width
    plane[height : height + height % STRIDE, : width + width % STRIDE] = 255
    plane[:height, width : width + width % STRIDE] = 255
