from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest

from trigger_api.tasks.digits.binarization import Foreground, binarize
from trigger_api.tasks.digits.separators import remove_separators

CELL = 70


def page(text: str, *, lines: int, top: int = 20, bottom: int = 130, width: int = 2) -> Foreground:
    """Digits in cells, with upright lines between them."""
    image = PIL.Image.new("RGB", (60 + CELL * len(text), 150), "white")
    draw, font = PIL.ImageDraw.Draw(image), PIL.ImageFont.load_default(70)
    for number, digit in enumerate(text):
        draw.text((30 + CELL * number + CELL // 2, 75), digit, "black", font, anchor="mm")
    for number in range(1, lines + 1):
        x = 30 + CELL * number
        draw.line((x, top, x, bottom), "black", width)
    return binarize(np.asarray(image))


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("text", ["2047385", "1111111", "01010|0"])
def test_separators_go_and_digits_stay(text: str, width: int) -> None:
    rest = remove_separators(page(text, lines=6, width=width)).ink > 0.5
    digits = page(text, lines=0).ink > 0.5
    np.testing.assert_array_equal(rest, digits)


@pytest.mark.parametrize(
    "options",
    [
        {"text": "2047385", "lines": 0},
        {"text": "2047385", "lines": 2},
        {"text": "2 4 3 8", "lines": 6, "top": 50, "bottom": 102},  # as tall as the digits: bars that are 1s
        {"text": "       ", "lines": 6},
    ],
)
def test_what_may_be_digits_stays(options: dict[str, object]) -> None:
    foreground = page(**options)  # type: ignore[arg-type]
    assert remove_separators(foreground) is foreground
