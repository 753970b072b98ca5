"""Faces cut out of a photo: as MTCNN's networks want them, and as those that read emotions do."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.media.boxes import Boxes
from trigger_api.media.image import Pixels

Array = NDArray[np.float32]

_OUTSIDE = 127.5  # what MTCNN sees beyond the photo's border
_AT_ONCE = 32  # crops: what is made on the way then stays in the processor's cache


def sampled(planes: Array, boxes: Boxes, side: int) -> Array:
    """Crops ``(n, 3, side, side)``, each sampled at ``side`` x ``side`` points from corner to corner, bilinearly.

    ``planes`` are the photo's colours, ``(3, height, width)``.
    """
    crops = np.empty((len(boxes), 3, side, side), np.float32)
    for start in range(0, len(boxes), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        crops[some] = _sampled(planes, boxes[some], side)
    return crops


def _sampled(planes: Array, boxes: Boxes, side: int) -> Array:
    _, height, width = planes.shape
    left, across, columns = _places(boxes[:, 0], boxes[:, 2], width, side)
    top, down, rows = _places(boxes[:, 1], boxes[:, 3], height, side)
    lefts, tops = ((first, np.minimum(first + 1, size - 1)) for first, size in ((left, width), (top, height)))
    flat = planes.reshape(3, -1)

    def fetched(dy: int, dx: int) -> Array:
        return np.asarray(flat.take((tops[dy] * width)[:, :, None] + lefts[dx][:, None, :], axis=1))

    down, across = (share.repeat(side, axis=1).reshape(-1, side, side) for share in (down, across))
    across = across.transpose(0, 2, 1).copy()
    upper, lower = (_between(fetched(dy, 0), fetched(dy, 1), across) for dy in (0, 1))
    crops = _between(upper, lower, down)
    crops[:, ~(rows[:, :, None] & columns[:, None, :])] = _OUTSIDE
    return np.asarray(crops.transpose(1, 0, 2, 3))


def patch(pixels: Pixels, box: tuple[float, float, float, float], margin: float) -> Pixels:
    """The square around a box whose side is ``margin`` times the box's longer one; beyond the border its last pixels.

    ``pixels`` are the photo's, ``(height, width)`` or ``(height, width, 3)``.
    """
    left, top, right, bottom = box
    side = max(1, round(margin * max(right - left, bottom - top)))
    rows = _line((top + bottom) / 2, side, pixels.shape[0])
    columns = _line((left + right) / 2, side, pixels.shape[1])
    return pixels[rows[:, None], columns]


def face(grey: Pixels, box: tuple[float, float, float, float], margin: float, side: int) -> Pixels:
    """A grey crop ``(side, side, 1)``, 0..255, for a network that reads emotions; see ``patch``."""
    cut = PIL.Image.fromarray(patch(grey, box, margin))
    return np.asarray(cut.resize((side, side), PIL.Image.Resampling.BILINEAR))[:, :, None]


def _line(centre: float, side: int, size: int) -> NDArray[np.intp]:
    return (round(centre - side / 2) + np.arange(side)).clip(0, size - 1)


def _places(
    low: NDArray[np.float64], high: NDArray[np.float64], size: int, side: int
) -> tuple[NDArray[np.intp], Array, NDArray[np.bool_]]:
    """The pixel before each sampled place, how far beyond it that is, and whether it is on the photo at all."""
    scale = (size - 1) / size  # coordinates are shares of the photo's size, of places from its first pixel to its last
    places = low[:, None] * scale + np.arange(side) * ((high - low)[:, None] * scale / (side - 1))
    inside = (places >= 0) & (places <= size - 1)
    first = np.floor(places.clip(0, size - 1))
    return first.astype(np.intp), (places.clip(0, size - 1) - first).astype(np.float32), inside


def _between(first: Array, second: Array, share: Array) -> Array:
    second -= first
    second *= share
    second += first
    return second
