from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from helpers.printed_digits import PrintedDigitsModel, add_digits, png, write
from helpers.threads import note_threads
from trigger_api.errors import TooLarge, UnknownModel
from trigger_api.inference import Engine
from trigger_api.media.image import ImageLimits
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Registry
from trigger_api.repository import discover
from trigger_api.tasks import Context
from trigger_api.tasks.digits import task as task
from trigger_api.tasks.digits.task import Digits


@pytest.fixture
async def digits(tmp_path: Path) -> AsyncIterator[Digits]:
    add_digits(tmp_path)
    engine = Engine(inference_threads=1, preprocess_threads=2, preprocess_queue=32)
    registry = Registry(discover(tmp_path), lambda path, card: PrintedDigitsModel(), engine.scheduler, Metrics())
    registry.load_all()
    yield Digits(Context(engine, registry, image=ImageLimits(pixels=6_000_000)))
    registry.close()
    await engine.close(5)


@pytest.mark.parametrize("dark", [True, False])
async def test_digits_are_read_in_order(digits: Digits, dark: bool) -> None:
    result = await digits.predict(png(write("90 31", "4472", dark=dark)))
    assert result.lines == ("9031", "4472")
    assert result.numbers[-1] == "4472"
    assert [digit.line for digit in result.digits] == [0] * 4 + [1] * 4
    assert all(digit.score > 0.5 for digit in result.digits)
    assert all(len(digit.probabilities) == 10 for digit in result.digits)
    assert (result.model, result.version) == ("printed", "7")


async def test_boxes_are_in_pixels_of_the_picture(digits: Digits) -> None:
    page = write("5", size=60, margin=40)
    rows, columns = np.nonzero(page[..., 0] < 130)
    (found,) = (await digits.predict(png(page))).digits
    assert (found.box.top, found.box.left) == pytest.approx((rows.min(), columns.min()), abs=2)
    assert (found.box.bottom, found.box.right) == pytest.approx((rows.max() + 1, columns.max() + 1), abs=2)


async def test_boxes_of_a_large_picture_are_scaled_back(digits: Digits) -> None:
    page = PIL.Image.fromarray(write("52")).resize((2_120, 2_400))
    result = await digits.predict(png(np.asarray(page)))
    assert result.lines == ("52",)
    assert (result.width, result.height) == (2_120, 2_400)
    assert all(digit.box.height > 300 for digit in result.digits)


async def test_touching_digits_are_split(digits: Digits) -> None:
    page = write("0   0", size=60)
    columns = np.flatnonzero((page[..., 0] < 130).any(axis=0))
    gap = columns[np.argmax(np.diff(columns))] + 1
    width = int(np.diff(columns).max()) - 2
    touching = np.delete(page, np.s_[gap : gap + width], axis=1)
    assert (await digits.predict(png(touching))).lines == ("00",)


async def test_a_grating_is_not_a_row_of_ones(digits: Digits) -> None:
    page = np.full((80, 200, 3), 255, np.uint8)
    for place in range(8):
        page[20:60:2, 40 + 14 * place : 50 + 14 * place] = 0
    assert (await digits.predict(png(page))).digits == ()


@pytest.mark.parametrize("page", [np.full((80, 120, 3), 250, np.uint8), write("HWM", size=60)])
async def test_letters_and_blank_paper_are_not_digits(
    digits: Digits, page: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    result = await digits.predict(png(page))
    assert (result.digits, result.numbers, result.lines) == ((), (), ())


async def test_the_caller_may_set_the_threshold(digits: Digits) -> None:
    assert (await digits.predict(png(write("1")), threshold=1)).digits == ()


async def test_concurrent_requests_get_their_own_answers(digits: Digits) -> None:
    results = await asyncio.gather(*(digits.predict(png(write(str(number)))) for number in range(10, 20)))
    assert [result.lines for result in results] == [(str(number),) for number in range(10, 20)]


async def test_too_large_a_picture_or_an_unknown_model_is_rejected(digits: Digits) -> None:
    with pytest.raises(TooLarge):
        await digits.predict(png(np.zeros((3_001, 2_000, 3), np.uint8)))
    with pytest.raises(UnknownModel, match="printed"):
        await digits.predict(png(write("1")), model="huge")


@pytest.mark.parametrize(("lines", "thread"), [(["5"], "MainThread"), (["1234567890"] * 2, "preprocess")])
async def test_a_full_page_is_postprocessed_off_the_event_loop(
    digits: Digits, monkeypatch: pytest.MonkeyPatch, lines: list[str], thread: str
) -> None:
    threads = note_threads(monkeypatch, task, "postprocess")
    assert (await digits.predict(png(write(*lines)))).lines == tuple(lines)
    assert threads == [thread]
