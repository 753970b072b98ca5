"""Photos of any size on a canvas of one size, so that they share a batch."""

from __future__ import annotations

import numpy as np
import PIL.Image

from trigger_api.media.image import Pixels

GREY = 114
"""The canvas around a photo: the padding that detectors of the YOLO family are trained with."""


def letterbox(pixels: Pixels, side: int) -> tuple[Pixels, tuple[int, int]]:
    """Put a photo into the top left corner of a grey canvas, reduced if it would not fit, never enlarged.

    Args:
        pixels: the photo, ``(height, width, 3)``.
        side: of the canvas, pixels.

    Returns:
        The canvas, ``(side, side, 3)``, and the photo's height and width on it.
    """
    fitted = _reduce(pixels, side)
    height, width = fitted.shape[:2]
    canvas = np.full((side, side, 3), GREY, np.uint8)
    canvas[:height, :width] = fitted
    return canvas, (height, width)


def _reduce(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = PIL.Image.fromarray(pixels)
    return np.asarray(image.resize(size, PIL.Image.Resampling.BILINEAR, reducing_gap=2.0))
