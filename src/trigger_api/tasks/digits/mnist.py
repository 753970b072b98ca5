"""One digit as in MNIST: within 20 x 20 pixels, its centre of mass at the centre of 28 x 28."""

from __future__ import annotations

from typing import Final

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage

Ink = NDArray[np.float32]
"""How much ink each pixel holds, 0..1, shape ``(height, width)``."""

SIDE: Final = 28
BOX: Final = 20
_FAINT = 0.2  # of the darkest pixel: fainter ones are the edge of a stroke, or paper
_MIN_STROKE_WIDTH = 1.8  # pixels of the box: MNIST's strokes are 2 to 4 wide, and thinner ones are thickened
_OVERSAMPLING = 3  # strokes are thickened in steps of a third of a pixel


def normalise(ink: Ink) -> Ink:
    """Scale the ink of one digit, of any size, to shape ``(28, 28)``; its darkest pixel becomes 1."""
    ink = _crop(ink)
    fine = _resize(ink, BOX * _OVERSAMPLING)
    missing = _MIN_STROKE_WIDTH - _stroke_width(fine) / _OVERSAMPLING
    boxed = _thicken(fine, missing) if missing > 0 else _resize(ink, BOX)
    darkest = np.float32(max(float(boxed.max()), 1e-6))
    return _center((boxed / darkest).clip(0, 1))


def _stroke_width(ink: Ink) -> float:
    """How broad the pen was, in pixels: a stroke's area is half the length of its outline times its width."""
    mask = np.pad(ink > 0.5 * ink.max(), 1)
    outline = np.count_nonzero(mask & ~ndimage.binary_erosion(mask))
    return 2 * int(np.count_nonzero(mask)) / max(int(outline), 1)


def _crop(ink: Ink) -> Ink:
    mask = ink > _FAINT * ink.max()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return ink
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _thicken(fine: Ink, missing: float) -> Ink:
    radius = max(1, round(missing * _OVERSAMPLING / 2))
    disk = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius + 0.3
    thick = ndimage.grey_dilation(np.pad(fine, radius), footprint=disk)
    return _resize(thick, BOX)


def _resize(ink: Ink, box: int) -> Ink:
    """Scale to fit a square of ``box`` pixels."""
    height, width = ink.shape
    scale = box / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return ink
    return np.asarray(PIL.Image.fromarray(ink).resize(size, PIL.Image.Resampling.BICUBIC), np.float32)


def _center(boxed: Ink) -> Ink:
    height, width = boxed.shape
    total = max(float(boxed.sum()), 1e-6)
    row = float(boxed.sum(axis=1) @ np.arange(height)) / total
    column = float(boxed.sum(axis=0) @ np.arange(width)) / total
    center = (SIDE - 1) / 2 + 0.5
    top = min(max(round(center - row), 0), SIDE - height)
    left = min(max(round(center - column), 0), SIDE - width)
    whole = np.zeros((SIDE, SIDE), np.float32)
    whole[top : top + height, left : left + width] = boxed
    return whole
