from __future__ import annotations

import numpy as np
import pytest

from trigger_api.tasks.faces.crops import crop_and_resize, grey_crop, square_crop

SLOPE = np.add.outer(np.arange(40), 2 * np.arange(60)).astype(np.uint8)
PLANES = np.stack([SLOPE, SLOPE + 1, SLOPE * 0]).astype(np.float32)


def test_crops_are_sampled_from_corner_to_corner() -> None:
    box = np.array([[6.0, 4, 54, 36]])
    crop = crop_and_resize(PLANES, box, 24)[0]
    across, down = np.linspace(6, 54, 24) * 59 / 60, np.linspace(4, 36, 24) * 39 / 40
    assert crop[0] == pytest.approx(np.add.outer(down, 2 * across), abs=1e-3)
    assert crop[1] == pytest.approx(crop[0] + 1, abs=1e-3)


def test_beyond_the_photo_is_grey() -> None:
    crop = crop_and_resize(PLANES, np.array([[-30.0, -20, 30, 20]]), 25)[0]
    assert (crop[:, :12] == 127.5).all()
    assert (crop[:, :, :12] == 127.5).all()
    assert crop[2, 13:, 13:].tolist() == np.zeros((12, 12)).tolist()


def test_many_boxes_are_cropped_like_each_alone() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(-10, 50, (100, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 40, (100, 1))], axis=1)
    together = crop_and_resize(PLANES, boxes, 12)
    assert together.shape == (100, 3, 12, 12)
    alone = np.concatenate([crop_and_resize(PLANES, boxes[i : i + 1], 12) for i in range(100)])
    assert np.array_equal(together, alone)
    assert crop_and_resize(PLANES, boxes[:0], 12).shape == (0, 3, 12, 12)


def test_square_crops_repeat_the_border() -> None:
    pixels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    assert square_crop(pixels, (1, 1, 3, 4), 1.0).tolist() == [[6, 7, 8], [12, 13, 14], [18, 19, 20]]
    corner = square_crop(pixels, (0, 0, 2, 2), 2.0)
    assert corner.tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [6, 6, 7, 8], [12, 12, 13, 14]]
    assert square_crop(np.zeros((5, 6, 3), np.uint8), (2, 2, 2, 2), 1.0).shape == (1, 1, 3)


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (3, 2, 59, 39), (-4, -4, 4, 4), (59, 39, 59, 39)])
def test_grey_crops_have_the_size_that_the_network_takes(box: tuple[float, float, float, float]) -> None:
    assert grey_crop(SLOPE, box, 1.3, 48).shape == (48, 48, 1)
