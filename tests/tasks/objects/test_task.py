"""The bundled object model on well-known photos."""

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


def iou(found: DetectedObject, box: tuple[float, float, float, float]) -> float:
    width = min(found.right, box[2]) - max(found.left, box[0])
    height = min(found.bottom, box[3]) - max(found.top, box[1])
    areas = (found.right - found.left) * (found.bottom - found.top) + (box[2] - box[0]) * (box[3] - box[1])
    intersection = max(width, 0) * max(height, 0)
    return intersection / (areas - intersection)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
async def test_a_cat_is_a_cat(service: Service, scale: float) -> None:
    result = await service.task(Objects).predict(photo("chelsea", scale))
    assert (result.width, result.height) == (round(451 * scale), round(300 * scale))
    assert result.objects[0].label == "cat"
    assert iou(result.objects[0], CAT) > 0.9
    assert {found.label for found in result.objects} == {"cat"}


async def test_a_cup_stands_on_a_table(service: Service) -> None:
    result = await service.task(Objects).predict(photo("coffee"))
    assert result.objects[0].label == "cup"
    assert result.objects[0].score > 0.7
    assert iou(result.objects[0], CUP) > 0.85
    assert {found.label for found in result.objects} <= {"cup", "dining table", "spoon", "bowl"}


async def test_options_limit_what_counts(service: Service) -> None:
    coffee = photo("coffee")

    async def detect(**options: Any) -> tuple[DetectedObject, ...]:
        return (await service.task(Objects).predict(coffee, DetectionOptions(**options))).objects

    every = await detect(score_threshold=0.05, min_height=0, min_width=0, max_results=100)
    assert [found.score for found in every] == sorted((found.score for found in every), reverse=True)
    assert all(found.score >= 0.05 for found in every)
    large = tuple(found for found in every if found.right - found.left >= 0.9 and found.bottom - found.top >= 0.9)
    assert await detect(score_threshold=0.05, min_height=0.9, min_width=0.9) == large
    assert len(await detect(score_threshold=0.05, max_results=1)) == 1
    assert sum(found.label == "cup" for found in await detect(iou_threshold=0.95)) > 1


async def test_an_empty_picture_has_no_objects(service: Service) -> None:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (1, 1), "white").save(buffer, "PNG")
    assert (await service.task(Objects).predict(buffer.getvalue())).objects == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0, 2.0])
async def test_extreme_limits_give_finite_outputs(service: Service, value: float) -> None:
    inputs: dict[str, NDArray[Any]] = {
        "photo": np.full((2, 640, 640, 3), 255, np.uint8),
        "size": np.array([[-7, 2**31 - 1], [0, 0]], np.int32),
        "limits": np.full((2, 4), value, np.float32),
    }
    outputs = (await service.task(Raw).predict(inputs, model="yolox-nano")).outputs
    assert np.isfinite(outputs["scores"]).all()
    assert ((outputs["boxes"] >= 0) & (outputs["boxes"] <= 1)).all()
