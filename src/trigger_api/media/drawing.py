"""Photos with what was found on them, and faces by themselves, as JPEG files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from io import BytesIO

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from trigger_api.media.image import Pixels

Box = tuple[float, float, float, float]

_FRAME, _PAPER, _INK = (255, 165, 0), (255, 255, 255), (0, 0, 0)
_SMALLEST, _LARGEST = 12, 96  # of letters, pixels


def annotated(pixels: Pixels, found: Iterable[tuple[Box, str]], quality: int) -> bytes:
    """A photo ``(height, width, 3)`` with boxes, each with a line of text above it, or within where there is no room.

    ``quality`` is JPEG's, 1..95.
    """
    picture = PIL.Image.fromarray(pixels)
    draw = PIL.ImageDraw.Draw(picture)
    size = min(max(round(min(picture.size) / 30), _SMALLEST), _LARGEST)
    for box, text in found:
        draw.rectangle(box, outline=_FRAME, width=max(size // 8, 1))
        _write(draw, box, text, size, picture.size)
    return _jpeg(picture, quality)


def crop(pixels: Pixels, box: Box, quality: int) -> bytes:
    """The part of a photo in a box."""
    left, top, right, bottom = (round(edge) for edge in box)
    return _jpeg(PIL.Image.fromarray(pixels[top : max(bottom, top + 1), left : max(right, left + 1)]), quality)


def _write(draw: PIL.ImageDraw.ImageDraw, box: Box, text: str, size: int, photo: tuple[int, int]) -> None:
    font = _font(size)
    width, height = font.getbbox(text, anchor="lt")[2:]
    left = max(min(box[0], photo[0] - width), 0)
    top = box[1] - height if box[1] >= height else box[1]
    draw.rectangle((left, top, left + width, top + height), _PAPER)
    draw.text((left, top), text, _INK, font, anchor="lt")


@lru_cache
def _font(size: int) -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
    return PIL.ImageFont.load_default(size)


def _jpeg(picture: PIL.Image.Image, quality: int) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
