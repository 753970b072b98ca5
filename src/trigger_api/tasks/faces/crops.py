"""Crops of photos: for MTCNN's networks, and for those that read emotions."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.media.boxes import Box, Boxes
from trigger_api.media.image import Pixels

Array = NDArray[np.float32]

_PADDING = 127.5  # what MTCNN sees beyond the photo's border
_BLOCK = 32  # crops at a time: intermediate arrays then stay in the processor's cache


def crop_and_resize(planes: Array, boxes: Boxes, side: int) -> Array:
    """Crops ``(n, 3, side, side)``, each sampled at ``side`` x ``side`` points from corner to corner, bilinearly.

    ``planes`` are the photo's colours, ``(3, height, width)``.
    """
    crops = np.empty((len(boxes), 3, side, side), np.float32)
    for start in range(0, len(boxes), _BLOCK):
        block = slice(start, start + _BLOCK)
        crops[block] = _crop_block(planes, boxes[block], side)
    return crops


def square_crop(pixels: Pixels, box: Box, margin: float) -> Pixels:
    """A square around a box, its side ``margin`` times the box's longer one; border pixels repeat beyond the photo.

    ``pixels`` are the photo's, ``(height, width)`` or ``(height, width, 3)``.
    """
    left, top, right, bottom = box
    side = max(1, round(margin * max(right - left, bottom - top)))
    rows = _pixel_range((top + bottom) / 2, side, pixels.shape[0])
    columns = _pixel_range((left + right) / 2, side, pixels.shape[1])
    return pixels[rows[:, None], columns]


def grey_crop(grey: Pixels, box: Box, margin: float, side: int) -> Pixels:
    """A grey crop ``(side, side, 1)``, 0..255, for a network that reads emotions; see ``square_crop``."""
    image = PIL.Image.fromarray(square_crop(grey, box, margin))
    return np.asarray(image.resize((side, side), PIL.Image.Resampling.BILINEAR))[:, :, None]


def _crop_block(planes: Array, boxes: Boxes, side: int) -> Array:
    _, height, width = planes.shape
    left, x_weight, columns = _sample_points(boxes[:, 0], boxes[:, 2], width, side)
    top, y_weight, rows = _sample_points(boxes[:, 1], boxes[:, 3], height, side)
    lefts, tops = ((first, np.minimum(first + 1, size - 1)) for first, size in ((left, width), (top, height)))
    flat = planes.reshape(3, -1)

    def gather(dy: int, dx: int) -> Array:
        return np.asarray(flat.take((tops[dy] * width)[:, :, None] + lefts[dx][:, None, :], axis=1))

    y_weight, x_weight = (weight.repeat(side, axis=1).reshape(-1, side, side) for weight in (y_weight, x_weight))
    x_weight = x_weight.transpose(0, 2, 1).copy()
    upper, lower = (_interpolate(gather(dy, 0), gather(dy, 1), x_weight) for dy in (0, 1))
    crops = _interpolate(upper, lower, y_weight)
    crops[:, ~(rows[:, :, None] & columns[:, None, :])] = _PADDING
    return np.asarray(crops.transpose(1, 0, 2, 3))


def _sample_points(
    low: NDArray[np.float64], high: NDArray[np.float64], size: int, side: int
) -> tuple[NDArray[np.intp], Array, NDArray[np.bool_]]:
    """The pixel before each sample point, the weight of the one after it, and whether the point is on the photo."""
    scale = (size - 1) / size  # coordinates are fractions of the photo's size, points go from first pixel to last
    points = low[:, None] * scale + np.arange(side) * ((high - low)[:, None] * scale / (side - 1))
    inside = (points >= 0) & (points <= size - 1)
    first = np.floor(points.clip(0, size - 1))
    return first.astype(np.intp), (points.clip(0, size - 1) - first).astype(np.float32), inside


def _interpolate(first: Array, second: Array, weight: Array) -> Array:
    second -= first
    second *= weight
    second += first
    return second


def _pixel_range(centre: float, side: int, size: int) -> NDArray[np.intp]:
    return (round(centre - side / 2) + np.arange(side)).clip(0, size - 1)
