from __future__ import annotations

import numpy as np
import pytest

from trigger_api.tasks.faces.crops import face, patch, sampled

SLOPE = np.add.outer(np.arange(40), 2 * np.arange(60)).astype(np.uint8)
PLANES = np.stack([SLOPE, SLOPE + 1, SLOPE * 0]).astype(np.float32)


def test_points_from_corner_to_corner() -> None:
    box = np.array([[6.0, 4, 54, 36]])
    crop = sampled(PLANES, box, 24)[0]
    across, down = np.linspace(6, 54, 24) * 59 / 60, np.linspace(4, 36, 24) * 39 / 40
    assert crop[0] == pytest.approx(np.add.outer(down, 2 * across), abs=1e-3)
    assert crop[1] == pytest.approx(crop[0] + 1, abs=1e-3)


def test_beside_the_photo_is_grey() -> None:
    crop = sampled(PLANES, np.array([[-30.0, -20, 30, 20]]), 25)[0]
    assert (crop[:, :12] == 127.5).all()
    assert (crop[:, :, :12] == 127.5).all()
    assert crop[2, 13:, 13:].tolist() == np.zeros((12, 12)).tolist()


def test_many_at_once_are_the_same_as_each_alone() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(-10, 50, (100, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 40, (100, 1))], axis=1)
    together = sampled(PLANES, boxes, 12)
    assert together.shape == (100, 3, 12, 12)
    alone = np.concatenate([sampled(PLANES, boxes[i : i + 1], 12) for i in range(100)])
    assert np.array_equal(together, alone)
    assert sampled(PLANES, boxes[:0], 12).shape == (0, 3, 12, 12)


def test_patches_are_square_and_repeat_the_border() -> None:
    pixels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    assert patch(pixels, (1, 1, 3, 4), 1.0).tolist() == [[6, 7, 8], [12, 13, 14], [18, 19, 20]]
    corner = patch(pixels, (0, 0, 2, 2), 2.0)
    assert corner.tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [6, 6, 7, 8], [12, 12, 13, 14]]
    assert patch(np.zeros((5, 6, 3), np.uint8), (2, 2, 2, 2), 1.0).shape == (1, 1, 3)


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (3, 2, 59, 39), (-4, -4, 4, 4), (59, 39, 59, 39)])
def test_faces_have_the_size_that_the_network_takes(box: tuple[float, float, float, float]) -> None:
    assert face(SLOPE, box, 1.3, 48).shape == (48, 48, 1)
