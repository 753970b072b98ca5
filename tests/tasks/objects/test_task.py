"""The bundled object model on photos that everybody has, through the service as it is."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import pytest
import skimage.data
from numpy.typing import NDArray

from trigger_api.observability.metrics import Metrics
from trigger_api.registry import State
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.objects.task import DetectedObject, DetectionOptions, Objects
from trigger_api.tasks.raw import Raw

CUP = (0.27, 0.04, 0.70, 0.74)  # left, top, right, bottom: drawn by hand
CAT = (0.0, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Settings(max_batch=2), Metrics())
    entry = made.registry.find("objects")
    made.registry.load(entry)
    assert (entry.state, entry.reason) == (State.READY, "")
    yield made
    asyncio.run(made.close())


def photo(name: str, scale: float = 1.0) -> bytes:
    pixels: NDArray[np.uint8] = getattr(skimage.data, name)()
    picture = PIL.Image.fromarray(pixels)
    buffer = io.BytesIO()
    picture.resize((round(picture.width * scale), round(picture.height * scale))).save(buffer, "PNG")
    return buffer.getvalue()


def overlap(thing: DetectedObject, box: tuple[float, float, float, float]) -> float:
    wide = min(thing.right, box[2]) - max(thing.left, box[0])
    high = min(thing.bottom, box[3]) - max(thing.top, box[1])
    areas = (thing.right - thing.left) * (thing.bottom - thing.top) + (box[2] - box[0]) * (box[3] - box[1])
    common = max(wide, 0) * max(high, 0)
    return common / (areas - common)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
async def test_a_cat_is_a_cat(service: Service, scale: float) -> None:
    view = await service.task(Objects).predict(photo("chelsea", scale))
    assert (view.width, view.height) == (round(451 * scale), round(300 * scale))
    assert view.objects[0].label == "cat"
    assert overlap(view.objects[0], CAT) > 0.9
    assert {thing.label for thing in view.objects} == {"cat"}


async def test_a_cup_stands_on_a_table(service: Service) -> None:
    view = await service.task(Objects).predict(photo("coffee"))
    assert view.objects[0].label == "cup"
    assert view.objects[0].score > 0.7
    assert overlap(view.objects[0], CUP) > 0.85
    assert {thing.label for thing in view.objects} <= {"cup", "dining table", "spoon", "bowl"}


async def test_limits(service: Service) -> None:
    every = (
        await service.task(Objects).predict(photo("coffee"), DetectionOptions(score=0.05, height=0, width=0, most=100))
    ).objects
    assert [thing.score for thing in every] == sorted((thing.score for thing in every), reverse=True)
    assert all(thing.score >= 0.05 for thing in every)
    some = (
        await service.task(Objects).predict(photo("coffee"), DetectionOptions(score=0.05, height=0.9, width=0.9))
    ).objects
    assert some == tuple(
        thing for thing in every if thing.right - thing.left >= 0.9 and thing.bottom - thing.top >= 0.9
    )
    assert (
        len((await service.task(Objects).predict(photo("coffee"), DetectionOptions(score=0.05, most=1))).objects) == 1
    )
    doubled = (await service.task(Objects).predict(photo("coffee"), DetectionOptions(overlap=0.95))).objects
    assert sum(thing.label == "cup" for thing in doubled) > 1


async def test_nothing_on_an_empty_picture(service: Service) -> None:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (1, 1), "white").save(buffer, "PNG")
    assert (await service.task(Objects).predict(buffer.getvalue())).objects == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0, 2.0])
async def test_tensors_of_any_values_break_nothing(service: Service, value: float) -> None:
    inputs: dict[str, NDArray[Any]] = {
        "photo": np.full((2, 640, 640, 3), 255, np.uint8),
        "size": np.array([[-7, 2**31 - 1], [0, 0]], np.int32),
        "limits": np.full((2, 4), value, np.float32),
    }
    outputs = (await service.task(Raw).predict(inputs, model="yolox-nano")).outputs
    assert np.isfinite(outputs["scores"]).all()
    assert ((outputs["boxes"] >= 0) & (outputs["boxes"] <= 1)).all()
