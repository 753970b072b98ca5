"""The image pyramid: a photo at decreasing sizes, packed into two canvases, so that P-Net finds faces of every size.

P-Net is a convolution over the canvases with a receptive field of 12 x 12 pixels and a stride of 2. Each level of the
pyramid is cut into a left and a right tile, which overlap by a receptive field, so that two processors can share the
work. On a canvas, tiles lie side by side at even positions. Only output positions whose receptive field lies within one
tile are read: neighbours do not disturb each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.media.image import Pixels

RECEPTIVE_FIELD, STRIDE = 12, 2
"""Of P-Net, in pixels."""
MIN_FACE = 20
"""The smallest face that is looked for, pixels."""
_FACTOR = 0.709  # from one level to the next: half the area
_MAX_SIDE, _MAX_PIXELS = 1280, 1_000_000  # of a photo; larger ones are reduced
_ONE_THREAD = 200_000  # multiplications that NumPy's BLAS does in the calling thread; for more it wakes up others

Array = NDArray[np.float32]
Rectangle = tuple[int, int, int, int]
"""Top, left, height and width."""


@dataclass(frozen=True)
class Level:
    """One level of the pyramid.

    Attributes:
        scale: its pixels per pixel of the photo.
        height, width: in pixels.
        top, left: position of its tiles on both canvases; even numbers.
    """

    scale: float
    height: int
    width: int
    top: int = 0
    left: int = 0

    @property
    def split(self) -> int:
        """The column at which the right tile begins: half of the output positions lie before it."""
        return STRIDE * -(-_output_length(self.width) // 2)

    @property
    def tiles(self) -> tuple[slice, slice]:
        """The columns of this level that lie on each canvas."""
        return slice(0, min(self.split + RECEPTIVE_FIELD - STRIDE, self.width)), slice(self.split, self.width)

    def slice_outputs(self, maps: Array) -> Array:
        """P-Net's outputs for this level, ``(..., rows, columns)``, out of both canvases' ``(2, ..., n, n)``."""
        row, column, first = self.top // STRIDE, self.left // STRIDE, self.split // STRIDE
        rows = maps[..., row : row + _output_length(self.height), :]
        counts = first, _output_length(self.width) - first
        tiles = [tile[..., column : column + count] for tile, count in zip(rows, counts, strict=True)]
        return np.concatenate(tiles, axis=-1)


@dataclass(frozen=True)
class Pyramid:
    """A photo at decreasing sizes.

    Attributes:
        planes: the photo, reduced if it was large, ``(3, height, width)``: colours 0..255.
        scale: its pixels per pixel of the original photo.
        levels: its sizes, largest first.
    """

    planes: Array
    scale: float
    levels: tuple[Level, ...]


def build_pyramid(pixels: Pixels, sides: Sequence[int]) -> tuple[Pyramid, Array]:
    """Build a photo's pyramid.

    Args:
        pixels: the photo, ``(height, width, 3)``.
        sides: of the available canvases, ascending. The smallest that is large enough is used; if none is, the photo
            is reduced.

    Returns:
        The pyramid, and the canvases, ``(2, 4, side, side)``: colours 0..255, and a fourth channel that is 255 in the
        padding row and column after odd sides.
    """
    reduced, scale = _limit_size(pixels)
    while (packed := _choose_canvas(_levels(*reduced.shape[:2]), sides)) is None:
        reduced, scale = _resize(reduced, 0.75), scale * 0.75
    side, levels = packed
    planes = reduced.transpose(2, 0, 1).astype(np.float32, order="C")
    return Pyramid(planes, scale, levels), _draw_canvases(planes, levels, side)


def _output_length(length: int) -> int:
    """How many output positions P-Net has along some pixels; the last one may see one pixel beyond them."""
    return -(-length // STRIDE) - RECEPTIVE_FIELD // STRIDE + 1


def _limit_size(pixels: Pixels) -> tuple[Pixels, float]:
    height, width = pixels.shape[:2]
    scale = min(1.0, _MAX_SIDE / max(height, width), (_MAX_PIXELS / (height * width)) ** 0.5)
    return (pixels, 1.0) if scale == 1 else (_resize(pixels, scale), scale)


def _resize(pixels: Pixels, scale: float) -> Pixels:
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(PIL.Image.fromarray(pixels).resize(size, PIL.Image.Resampling.BILINEAR, reducing_gap=2.0))


def _levels(height: int, width: int) -> list[Level]:
    """The sizes at which faces from ``MIN_FACE`` pixels up to the whole photo fill P-Net's receptive field."""
    count = round(-np.log(min(height, width) / RECEPTIVE_FIELD) / np.log(_FACTOR)) - 1
    scales = RECEPTIVE_FIELD / MIN_FACE * _FACTOR ** np.arange(max(count, 0))
    levels = [Level(float(scale), int(height * scale), int(width * scale)) for scale in scales]
    return [level for level in levels if min(level.height, level.width) >= RECEPTIVE_FIELD]


def _choose_canvas(levels: Sequence[Level], sides: Sequence[int]) -> tuple[int, tuple[Level, ...]] | None:
    area = sum(level.height * level.tiles[0].stop for level in levels)
    for side in sides:
        if side * side >= area and (packed := _pack(levels, side)) is not None:
            return side, packed
    return None


def _pack(levels: Sequence[Level], side: int) -> tuple[Level, ...] | None:
    """Positions on a square canvas (guillotine packing, best short side fit); None if the levels do not fit."""
    free: list[Rectangle] = [(0, 0, side, side)]
    packed = []
    for level in levels:
        height, width = (-(-length // STRIDE) * STRIDE for length in (level.height, level.tiles[0].stop))
        fitting = [space for space in free if space[2] >= height and space[3] >= width]
        if not fitting:
            return None
        space = min(fitting, key=lambda space: min(space[2] - height, space[3] - width))
        free.remove(space)
        free += _split_space(space, height, width)
        packed.append(replace(level, top=space[0], left=space[1]))
    return tuple(packed)


def _split_space(space: Rectangle, height: int, width: int) -> list[Rectangle]:
    """The two rectangles that remain free, cut so that one of them is as large as possible."""
    top, left, free_height, free_width = space
    if (free_height - height) * free_width >= (free_width - width) * free_height:
        return [
            (top + height, left, free_height - height, free_width),
            (top, left + width, height, free_width - width),
        ]
    return [(top, left + width, free_height, free_width - width), (top + height, left, free_height - height, width)]


def _draw_canvases(planes: Array, levels: Sequence[Level], side: int) -> Array:
    """The photo at each size on the canvases, by area averaging: rows first, then columns."""
    _, height, width = planes.shape
    canvases = np.zeros((2, 4, side, side), np.float32)
    max_height, max_width = (max((getattr(level, name) for level in levels), default=0) for name in ("height", "width"))
    low, small = np.empty((3, max_height, width), np.float32), np.empty((3, max_height, max_width), np.float32)
    for level in levels:
        for target, source, weights in _area_weights(height, level.height, width):
            np.matmul(weights, planes[:, source], out=low[:, target])
        for target, source, weights in _area_weights(width, level.width, level.height):
            np.matmul(low[:, : level.height, source], weights.T, out=small[:, : level.height, target])
        _paste_tiles(canvases, small, level)
    return canvases


def _paste_tiles(canvases: Array, small: Array, level: Level) -> None:
    for canvas, tile in zip(canvases, level.tiles, strict=True):
        width = tile.stop - tile.start
        target = canvas[:, level.top :, level.left :]
        target[:3, : level.height, :width] = small[:, : level.height, tile]
        _mark_padding(target[3], level.height, width)


def _mark_padding(plane: Array, height: int, width: int) -> None:
    """Mark the row and the column after odd sides."""
    plane[height : height + height % STRIDE, : width + width % STRIDE] = 255
    plane[:height, width : width + width % STRIDE] = 255


@lru_cache(maxsize=128)
def _area_weights(size: int, count: int, breadth: int) -> list[tuple[slice, slice, Array]]:
    """The weights of area averaging, which reduces a line of pixels to ``count`` equal parts.

    Their matrix is zero off its diagonal, so it comes in blocks along that. A camera sends photos of one size again
    and again: recent weights are kept.

    Args:
        size: of the line, pixels.
        count: of the parts.
        breadth: lines side by side, which limit the size of a block.

    Returns:
        For each block the parts, the pixels, and the weights ``(parts, pixels)``.
    """
    part = size / count
    block = int(np.clip((_ONE_THREAD / (part * breadth)) ** 0.5, 1, 16))
    edges = np.minimum(np.arange(-(-count // block) * block + 1) * part, size)
    first = edges[:-1:block].astype(np.intp)
    pixels = first[:, None, None] + np.arange(int(np.ceil(block * part)) + 1)
    starts, ends = (each.reshape(-1, block, 1) for each in (edges[:-1], edges[1:]))
    weights = ((np.minimum(ends, pixels + 1) - np.maximum(starts, pixels)).clip(0) / part).astype(np.float32)
    blocks = []
    for number, start in enumerate(first.tolist()):
        target = slice(number * block, min((number + 1) * block, count))
        source = slice(start, min(start + pixels.shape[2], size))
        blocks.append((target, source, weights[number, : target.stop - target.start, : source.stop - source.start]))
    return blocks
