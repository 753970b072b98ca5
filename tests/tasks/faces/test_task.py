"""The bundled detector, compared with the package that its weights come from."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import skimage.data

from helpers.tiny_emotions import FACE, astronaut, crowd, encoded
from trigger_api.media.boxes import iou
from trigger_api.media.image import ImageLimits, Pixels, decode
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import State
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.faces.task import Face, Faces

PHOTOS = sorted((Path(__file__).parents[3] / "shared/data/faces").glob("*.jpg"))


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Settings(), Metrics())
    for entry in made.registry.versions:
        if entry.card.task == Faces.name:
            made.registry.load(entry)
            assert (entry.state, entry.reason) == (State.READY, "")
    yield made
    asyncio.run(made.close())


@pytest.fixture(scope="module")
def package() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mtcnn import MTCNN

    return MTCNN()


def assert_same(faces: Sequence[Face], expected: Sequence[Any]) -> None:
    """The same faces: their number, boxes, landmarks and confidence."""
    assert len(faces) == len(expected)
    if not faces:
        return
    boxes = np.array([face.box for face in faces])
    others = np.array([[x, y, x + width, y + height] for x, y, width, height in (face["box"] for face in expected)])
    table = iou(boxes, others.astype(np.float64))
    assert table.max(axis=0).min() > 0.9
    for face, best in zip(faces, table.argmax(axis=1), strict=True):
        keys = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
        landmarks = [expected[best]["keypoints"][key] for key in keys]
        assert face.landmarks == pytest.approx([pytest.approx(mark, abs=1.5) for mark in landmarks])
        assert face.score == pytest.approx(expected[best]["confidence"], abs=1e-3)


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(astronaut(), id="astronaut"),
        pytest.param(skimage.data.chelsea(), id="cat"),
        pytest.param(crowd(2, 4, 96), id="eight faces"),
        pytest.param(np.asarray(PIL.Image.fromarray(astronaut()).resize((333, 401))), id="odd sides"),
        pytest.param(astronaut()[FACE[1] + 20 :, FACE[0] + 10 :], id="face at the border"),
    ],
)
async def test_the_same_faces_as_the_package(service: Service, package: Any, pixels: Pixels) -> None:
    result = await service.task(Faces).predict(encoded(pixels))
    assert (result.height, result.width) == pixels.shape[:2]
    assert_same(result.faces, package.detect_faces(pixels))


@pytest.mark.data
@pytest.mark.skipif(not PHOTOS, reason="the photos are not available")
async def test_the_same_faces_on_all_available_photos(service: Service, package: Any) -> None:
    for path in PHOTOS:
        pixels = decode(path.read_bytes(), ImageLimits()).pixels
        assert_same((await service.task(Faces).predict(path.read_bytes())).faces, package.detect_faces(pixels))


async def test_concurrent_photos_are_answered_like_single_ones(service: Service) -> None:
    photos = [encoded(pixels) for pixels in (astronaut(), crowd(1, 3, 120), skimage.data.coffee(), astronaut()[::-1])]
    together = await asyncio.gather(*(service.task(Faces).predict(photo) for photo in photos * 3))
    alone = [await service.task(Faces).predict(photo) for photo in photos]
    for one, other in zip(together, alone * 3, strict=True):
        assert len(one.faces) == len(other.faces)
        for face, same_face in zip(one.faces, other.faces, strict=True):
            assert face.box == pytest.approx(same_face.box, abs=0.1)


async def test_the_caller_may_set_the_threshold(service: Service) -> None:
    many = (await service.task(Faces).predict(encoded(crowd(2, 4, 64)), threshold=0.0)).faces
    assert [face.score for face in many] == sorted((face.score for face in many), reverse=True)
    few = (await service.task(Faces).predict(encoded(crowd(2, 4, 64)), threshold=0.999)).faces
    assert len(few) < len(many)


async def test_boxes_of_a_large_photo_are_in_its_own_pixels(service: Service) -> None:
    large = PIL.Image.fromarray(astronaut()).resize((2048, 2048))
    (face,) = (await service.task(Faces).predict(encoded(np.asarray(large), "JPEG"))).faces
    assert iou(np.array([face.box]), np.array([FACE], np.float64) * 4)[0, 0] > 0.6


def test_the_bundled_networks_are_named_after_the_stages(service: Service) -> None:
    folder = Path(str(service.registry.find(Faces.name).path)).parents[1]
    assert sorted(path.name for path in folder.iterdir()) == ["mtcnn-onet", "mtcnn-pnet", "mtcnn-rnet"]
