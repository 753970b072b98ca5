"""The bundled digit model on synthetic pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from helpers.printed_digits import png, write
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import BUNDLED, State
from trigger_api.runtimes import digest
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.digits.task import Digits

FOLDER = BUNDLED / "digits" / "mnist" / "1"
# Digits as a hand draws them, on a grid of 4 by 6.
STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "0": [[(2, 0), (0.4, 1.5), (0.4, 4), (2, 6), (3.6, 4), (3.6, 1.5), (2, 0)]],
    "1": [[(2, 0), (2, 6)]],
    "2": [[(0.3, 1.3), (1.6, 0), (3.3, 0.8), (3.2, 2.3), (0.3, 6), (4, 6)]],
    "3": [[(0.3, 0.4), (2.6, 0), (3.5, 1.3), (1.5, 2.8), (3.8, 3.8), (2.8, 5.8), (0.2, 5.6)]],
    "4": [[(0.9, 0), (0.4, 3.4), (4, 3.2)], [(3, 0.2), (2.8, 6)]],
    "5": [[(3.7, 0), (0.8, 0), (0.6, 2.6), (2.6, 2.3), (3.8, 3.9), (2.6, 5.9), (0.2, 5.5)]],
    "6": [[(3, 0), (0.9, 2.3), (0.4, 4.6), (1.8, 6), (3.5, 5), (3, 3.5), (0.7, 4.2)]],
    "7": [[(0.2, 0.2), (3.9, 0), (1.6, 6)]],
    "8": [[(3.4, 0.9), (1.6, 0), (0.7, 1.3), (3.4, 4.2), (2, 6), (0.5, 4.6), (3.3, 1.8), (3.4, 0.9)]],
    "9": [[(3.4, 1.2), (1.8, 0), (0.6, 1.4), (1.8, 2.8), (3.4, 1.4), (3.1, 6)]],
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Settings(), Metrics())
    made.registry.load(made.registry.find("digits", "mnist"))
    assert made.registry.find("digits", "mnist").state is State.READY
    yield made
    asyncio.run(made.close())


def draw_line(text: str, *, pen: int = 5, unit: float = 9.0) -> NDArray[np.uint8]:
    """A line of digits in smooth strokes, dark on light."""
    step = 6.5 * unit
    image = PIL.Image.new("L", (round(step * len(text) + 2 * unit), round(10 * unit)), 245)
    draw = PIL.ImageDraw.Draw(image)
    for position, digit in enumerate(text):
        for stroke in STROKES[digit]:
            knots = np.asarray(stroke, np.float64)
            dense = ndimage.zoom(knots, (8, 1), order=3, mode="nearest") if len(stroke) > 2 else knots
            points = [(2 * unit + step * position + unit * x, 2 * unit + unit * y) for x, y in dense.tolist()]
            draw.line(points, 30, pen, "curve")
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("text", ["0123456789", "31415926", "7"])
@pytest.mark.parametrize("pen", [2, 5, 9])
async def test_drawn_digits_are_read(service: Service, text: str, pen: int) -> None:
    assert (await service.task(Digits).predict(png(draw_line(text, pen=pen)))).lines == (text,)


@pytest.mark.parametrize("dark", [True, False])
async def test_printed_digits_are_read(service: Service, dark: bool) -> None:
    result = await service.task(Digits).predict(png(write("6     028", "4573", dark=dark)))
    assert result.lines == ("6028", "4573")
    assert result.numbers == ("6", "028", "4573")


async def test_pages_without_digits_have_none(service: Service) -> None:
    random = np.random.default_rng(0)
    blank = random.normal(200, 8, (200, 300, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=2)
    grain = random.integers(0, 255, (200, 300, 1), np.uint8).repeat(3, axis=2)
    for page in (blank, grain, write("KWRF"), np.zeros((50, 50, 3), np.uint8)):
        assert (await service.task(Digits).predict(png(page))).digits == ()


def test_the_card_matches_the_weights() -> None:
    card = read_card(FOLDER)
    assert card.sha256 == digest(FOLDER)
    assert (FOLDER / WEIGHTS_FILE).stat().st_size < 1_000_000
    assert {"MNIST test", "mouse-drawn"} <= set(card.figures)


async def test_the_sample_note_is_read_as_the_readme_says(service: Service) -> None:
    note = Path(__file__).parent.parent / "samples" / "note.jpg"
    assert (await service.task(Digits).predict(note.read_bytes())).lines == ("1948", "2650", "37")
