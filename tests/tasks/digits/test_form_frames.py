from __future__ import annotations

from collections.abc import Callable

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest

from trigger_api.tasks.digits.binarization import binarize
from trigger_api.tasks.digits.form_frames import remove_frames
from trigger_api.tasks.digits.mnist import Ink

CELL, DIGITS = 110, "204738"
Drawing = Callable[[PIL.ImageDraw.ImageDraw, int, int], None]


def page(frame: Drawing | None, *, step: int = CELL + 20, degrees: float = 0, dx: int = 0, dy: int = 0) -> Ink:
    """Digits in a row, and around each of them a part of a form."""
    image = PIL.Image.new("L", (60 + step * len(DIGITS), CELL + 80), 255)
    draw, font = PIL.ImageDraw.Draw(image), PIL.ImageFont.load_default(80)
    for number, text in enumerate(DIGITS):
        left = 30 + step * number
        draw.text((left + CELL // 2 + dx, 40 + CELL // 2 + dy), text, 0, font, anchor="mm")
        if frame is not None:
            frame(draw, left, 40)
    turned = image.rotate(degrees, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    return np.asarray(1 - np.asarray(turned, np.float32) / 255)


def box(width: int) -> Drawing:
    return lambda draw, x, y: draw.rectangle((x, y, x + CELL, y + CELL), None, 0, width)


def by_hand(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    corners = [(x + 3, y - 4), (x + CELL - 6, y + 2), (x + CELL, y + CELL), (x - 5, y + CELL - 4)]
    draw.line([*corners, corners[0]], 0, 3)


def comb(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.line((x - 10, y + CELL, x + CELL + 10, y + CELL), 0, 3)
    draw.line((x - 10, y + CELL - 25, x - 10, y + CELL), 0, 3)


def underline(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.line((x - 10, y + CELL, x + CELL + 10, y + CELL), 0, 2)


def ring(draw: PIL.ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.ellipse((x, y, x + CELL, y + CELL), None, 0, 2)


def cleared(ink: Ink) -> Ink:
    pixels = np.repeat(np.rint(255 * (1 - ink)).astype(np.uint8)[..., None], 3, axis=2)
    return remove_frames(binarize(pixels)).ink


@pytest.mark.parametrize(
    "options",
    [
        *({"frame": box(width)} for width in (1, 2, 3, 5)),
        *({"frame": box(3), "degrees": degrees} for degrees in (-5, -2, 3)),
        *({"frame": box(2), "step": CELL, "degrees": degrees} for degrees in (0, 2, -4)),  # a table
        *({"frame": frame} for frame in (by_hand, comb, underline, ring)),
        {"frame": underline, "degrees": 4},
        {"frame": comb, "degrees": -2},
    ],
)
def test_frames_go_and_digits_stay(options: dict[str, object]) -> None:
    digits = page(**{**options, "frame": None}) > 0.5  # type: ignore[arg-type]
    rest = cleared(page(**options)) > 0.5  # type: ignore[arg-type]
    assert (rest & digits).sum() > 0.97 * digits.sum()
    assert (rest & ~digits).sum() < 0.1 * digits.sum()


@pytest.mark.parametrize("options", [{"frame": box(2), "dx": 30}, {"frame": underline, "dy": 28}])
def test_a_digit_across_a_line_is_not_torn(options: dict[str, object]) -> None:
    digits = page(**{**options, "frame": None}) > 0.5  # type: ignore[arg-type]
    rest = cleared(page(**options)) > 0.5  # type: ignore[arg-type]
    assert (rest & digits).sum() > 0.9 * digits.sum()


@pytest.mark.parametrize("degrees", [0, 10, -20])
def test_without_a_form_nothing_changes(degrees: float) -> None:
    ink = page(None, degrees=degrees)
    pixels = np.repeat(np.rint(255 * (1 - ink)).astype(np.uint8)[..., None], 3, axis=2)
    foreground = binarize(pixels)
    np.testing.assert_array_equal(remove_frames(foreground).ink, foreground.ink)
