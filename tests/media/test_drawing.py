from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from trigger_api.media.drawing import annotated, crop
from trigger_api.media.image import Pixels

GREY = np.full((200, 300, 3), 90, np.uint8)


def read(file: bytes) -> Pixels:
    picture = PIL.Image.open(io.BytesIO(file))
    assert picture.format == "JPEG"
    return np.asarray(picture)


def test_boxes_and_text_are_drawn() -> None:
    drawn = read(annotated(GREY, [((100, 80, 180, 160), "1. happy 93%")], 90)).astype(int)
    changed = np.abs(drawn - 90).max(axis=2) > 60
    assert changed[120, 99:103].any()
    assert changed[160, 140]
    assert changed[69:79, 101:150].mean() > 0.6
    assert not changed[90:150, 110:170].any()


def test_text_at_the_upper_edge_stays_on_the_photo() -> None:
    drawn = read(annotated(GREY, [((250, 0, 299, 60), "1. surprised 100%")], 90)).astype(int)
    assert (np.abs(drawn - 90).max(axis=2) > 60)[:12, 200:].mean() > 0.4


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (2000, 4)])
def test_photos_of_any_shape(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    assert read(annotated(pixels, [((0, 0, 0, 0), "1. sad 50%")], 1)).shape == pixels.shape
    assert read(crop(pixels, (0, 0, 0, 0), 90)).shape == (1, 1, 3)


def test_quality_counts() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    assert len(annotated(noise, [], 30)) < len(annotated(noise, [], 90)) / 2


def test_a_face_alone() -> None:
    pixels = np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 50, 3))
    assert read(crop(pixels, (9.6, 99.7, 30.2, 140.4), 95)).shape == (40, 20, 3)
