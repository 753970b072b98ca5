from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from trigger_api.media.drawing import annotate, crop
from trigger_api.media.image import Pixels

GREY = np.full((200, 300, 3), 90, np.uint8)


def decode(file: bytes) -> Pixels:
    image = PIL.Image.open(io.BytesIO(file))
    assert image.format == "JPEG"
    return np.asarray(image)


def test_boxes_and_text_are_drawn() -> None:
    drawn = decode(annotate(GREY, [((100, 80, 180, 160), "1. happy 93%")], 90)).astype(int)
    changed = np.abs(drawn - 90).max(axis=2) > 60
    assert changed[120, 99:103].any()
    assert changed[160, 140]
    assert changed[69:79, 101:150].mean() > 0.6
    assert not changed[90:150, 110:170].any()


def test_text_at_the_upper_edge_stays_on_the_photo() -> None:
    drawn = decode(annotate(GREY, [((250, 0, 299, 60), "1. surprised 100%")], 90)).astype(int)
    assert (np.abs(drawn - 90).max(axis=2) > 60)[:12, 200:].mean() > 0.4


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (2000, 4)])
def test_photos_of_any_shape_are_accepted(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    assert decode(annotate(pixels, [((0, 0, 0, 0), "1. sad 50%")], 1)).shape == pixels.shape
    assert decode(crop(pixels, (0, 0, 0, 0), 90)).shape == (1, 1, 3)


def test_lower_quality_makes_smaller_files() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    assert len(annotate(noise, [], 30)) < len(annotate(noise, [], 90)) / 2


def test_a_crop_has_rounded_edges() -> None:
    pixels = np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 50, 3))
    assert decode(crop(pixels, (9.6, 99.7, 30.2, 140.4), 95)).shape == (40, 20, 3)
