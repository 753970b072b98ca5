"""Annotated photos, and crops of photos, as JPEG files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from io import BytesIO

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from trigger_api.media.boxes import Box
from trigger_api.media.image import ImageLimits, Pixels, decode

_FRAME, _BACKGROUND, _TEXT = (255, 165, 0), (255, 255, 255), (0, 0, 0)
_MIN_FONT, _MAX_FONT = 12, 96  # pixels


def annotate(pixels: Pixels, labelled: Iterable[tuple[Box, str]], quality: int) -> bytes:
    """Draw boxes on a photo, each with a line of text above it, or inside it where there is no room above.

    Args:
        pixels: the photo, ``(height, width, 3)``.
        labelled: the boxes and their texts.
        quality: of the JPEG file, 1..95.
    """
    image = PIL.Image.fromarray(pixels)
    draw = PIL.ImageDraw.Draw(image)
    size = min(max(round(min(image.size) / 30), _MIN_FONT), _MAX_FONT)
    for box, text in labelled:
        draw.rectangle(box, outline=_FRAME, width=max(size // 8, 1))
        _write(draw, box, text, size, image.size)
    return _encode(image, quality)


def crop(pixels: Pixels, box: Box, quality: int) -> bytes:
    """Cut a box, at least one pixel of it, out of a photo. ``quality`` is that of the JPEG file, 1..95."""
    left, top, right, bottom = (round(edge) for edge in box)
    return _encode(PIL.Image.fromarray(pixels[top : max(bottom, top + 1), left : max(right, left + 1)]), quality)


def preview(data: bytes, limits: ImageLimits, side: int, quality: int) -> bytes:
    """A picture of any format as a JPEG file, at most ``side`` pixels high and wide. Raises as ``decode`` does."""
    image = PIL.Image.fromarray(decode(data, limits).pixels)
    image.thumbnail((side, side))
    return _encode(image, quality)


def _write(draw: PIL.ImageDraw.ImageDraw, box: Box, text: str, size: int, photo: tuple[int, int]) -> None:
    font = _font(size)
    width, height = font.getbbox(text, anchor="lt")[2:]
    left = max(min(box[0], photo[0] - width), 0)
    top = box[1] - height if box[1] >= height else box[1]
    draw.rectangle((left, top, left + width, top + height), _BACKGROUND)
    draw.text((left, top), text, _TEXT, font, anchor="lt")


@lru_cache
def _font(size: int) -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
    return PIL.ImageFont.load_default(size)


def _encode(image: PIL.Image.Image, quality: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
