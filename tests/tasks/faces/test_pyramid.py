from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_api.tasks.faces.pyramid import RECEPTIVE_FIELD, Level, build_pyramid

SIDES = tuple(range(64, 1025, 32))


def photo(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def read_back(
    canvases: np.ndarray[tuple[int, ...], np.dtype[np.float32]], level: Level
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A level of the pyramid, put together again from the canvases, with the padding channel."""
    parts = []
    for canvas, tile in zip(canvases, level.tiles, strict=True):
        columns = slice(level.left, level.left + tile.stop - tile.start)
        parts.append(canvas[:, level.top : level.top + level.height, columns])
    first, second = parts
    return np.concatenate([first[:, :, : level.split], second], axis=2)


def mean(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], top: float, bottom: float) -> float:
    """The mean of the first column between two positions; pixels at the ends count in part."""
    rows = np.arange(pixels.shape[0])
    shares = (np.minimum(bottom, rows + 1) - np.maximum(top, rows)).clip(0)
    return float((shares * pixels[:, 0, 0]).sum() / (bottom - top))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400))
def test_levels_lie_side_by_side(height: int, width: int) -> None:
    pyramid, canvases = build_pyramid(photo(height, width), SIDES)
    used = np.zeros(canvases.shape[2:], int)
    for level in pyramid.levels:
        assert level.top % 2 == level.left % 2 == 0
        assert min(level.height, level.width) >= RECEPTIVE_FIELD
        widths = [tile.stop - tile.start for tile in level.tiles]
        assert widths[0] >= widths[1]
        used[level.top : level.top + level.height, level.left : level.left + widths[0]] += 1
        assert read_back(canvases, level).shape == (4, level.height, level.width)
        assert read_back(canvases, level)[:3].max() <= 255.01
        assert not read_back(canvases, level)[3].any()
    assert used.max(initial=0) <= 1


def test_levels_are_made_by_area_averaging() -> None:
    pixels = photo(240, 1)
    pyramid, canvases = build_pyramid(np.repeat(pixels, 300, axis=1), SIDES)
    for level in pyramid.levels:
        part = 240 / level.height
        expected = [mean(pixels, i * part, (i + 1) * part) for i in range(level.height)]
        assert read_back(canvases, level)[0, :, level.width // 2] == pytest.approx(expected, abs=0.01)
        assert np.ptp(read_back(canvases, level)[0], axis=1).max() < 0.01


def test_tiles_overlap_by_a_receptive_field() -> None:
    left, right = Level(1.0, 12, 100).tiles
    assert (left, right) == (slice(0, 56), slice(46, 100))
    assert Level(1.0, 12, 12).tiles == (slice(0, 12), slice(2, 12))


def test_the_smallest_faces_fill_a_receptive_field() -> None:
    pyramid, _ = build_pyramid(photo(100, 200), SIDES)
    assert (pyramid.levels[0].height, pyramid.levels[0].width) == (60, 120)
    assert pyramid.levels[1].scale == pytest.approx(0.6 * 0.709)
    assert pyramid.scale == 1


def test_padding_after_odd_sides_is_marked() -> None:
    pyramid, canvases = build_pyramid(photo(105, 205), SIDES)  # 63 x 123 pixels at the first size
    first = pyramid.levels[0]
    assert (first.height, first.width) == (63, 123)
    padding = canvases[:, 3, first.top : first.top + 64, first.left : first.left + 66]
    assert (padding[:, 63] == 255).all()
    right = first.tiles[1]
    assert (padding[1, :63, right.stop - right.start] == 255).all()
    assert not padding[0, :63].any()


def test_outputs_of_both_tiles_are_put_together_again() -> None:
    maps = np.zeros((2, 5, 30, 30), np.float32)
    level = Level(1.0, 14, 21, top=4, left=10)  # two rows of six output positions
    maps[0, :, 2:4, 5:8], maps[1, :, 2:4, 5:8] = [0, 1, 2], [3, 4, 5]
    assert level.slice_outputs(maps).shape == (5, 2, 6)
    assert level.slice_outputs(maps)[3, 1].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [(3000, 4000), (20, 9000), (5000, 3000)])
def test_large_photos_are_reduced(size: tuple[int, int]) -> None:
    pyramid, _ = build_pyramid(np.zeros((*size, 3), np.uint8), SIDES)
    height, width = pyramid.planes.shape[1:]
    assert max(height, width) <= 1280
    assert height * width <= 1_005_000
    assert height == pytest.approx(size[0] * pyramid.scale, abs=1)


def test_a_photo_that_fits_no_canvas_is_reduced() -> None:
    pyramid, canvases = build_pyramid(photo(400, 500), (64, 128))
    assert canvases.shape == (2, 4, 128, 128)
    assert pyramid.scale < 0.5


@pytest.mark.parametrize("size", [(1, 1), (11, 300), (300, 5)])
def test_tiny_photos_have_no_levels(size: tuple[int, int]) -> None:
    assert build_pyramid(photo(*size), SIDES)[0].levels == ()
