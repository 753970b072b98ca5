from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_api.tasks.face.pyramid import CELL, Level, build

SIDES = tuple(range(64, 1025, 32))


def photo(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def placed(level: Level) -> tuple[slice, slice]:
    return slice(level.top, level.top + level.height), slice(level.left, level.left + level.width)


def mean(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], top: float, bottom: float) -> float:
    """Of the first column, from one place to another, pixels at the ends in part."""
    rows = np.arange(pixels.shape[0])
    shares = (np.minimum(bottom, rows + 1) - np.maximum(top, rows)).clip(0)
    return float((shares * pixels[:, 0, 0]).sum() / (bottom - top))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400))
def test_sizes_lie_side_by_side(height: int, width: int) -> None:
    pyramid = build(photo(height, width), SIDES)
    taken = np.zeros(pyramid.canvas.shape[1:], int)
    for level in pyramid.levels:
        assert level.top % 2 == level.left % 2 == 0
        assert min(level.height, level.width) >= CELL
        taken[level.top : level.top + level.height, level.left : level.left + level.width] += 1
        assert pyramid.canvas[:3, *placed(level)].max() <= 255.01
    assert taken.max(initial=0) <= 1
    assert (pyramid.canvas[3][taken == 1] == 0).all()


def test_a_pixel_is_the_mean_of_what_it_covers() -> None:
    pixels = photo(240, 1)
    wide = np.repeat(pixels, 300, axis=1)
    for level in build(wide, SIDES).levels:
        part = 240 / level.height
        canvas = build(wide, SIDES).canvas[0, *placed(level)]
        expected = [mean(pixels, i * part, (i + 1) * part) for i in range(level.height)]
        assert canvas[:, level.width // 2] == pytest.approx(expected, abs=0.01)
        assert np.ptp(canvas, axis=1).max() < 0.01


def test_the_smallest_faces_fill_a_cell() -> None:
    pyramid = build(photo(100, 200), SIDES)
    assert (pyramid.levels[0].height, pyramid.levels[0].width) == (60, 120)
    assert pyramid.levels[1].scale == pytest.approx(0.6 * 0.709)
    assert pyramid.ratio == 1


def test_what_is_after_odd_sides_is_marked() -> None:
    pyramid = build(photo(105, 205), SIDES)  # 63 x 123 pixels at the first size
    first = pyramid.levels[0]
    marks = pyramid.canvas[3, first.top : first.top + first.height + 1, first.left : first.left + first.width + 1]
    assert (first.height, first.width) == (63, 123)
    assert (marks[-1] == 255).all()
    assert (marks[:, -1] == 255).all()
    assert not marks[:-1, :-1].any()


def test_answers_are_as_many_as_there_are_places() -> None:
    rows, columns = Level(1.0, 12, 13, top=4, left=10).cells
    assert (rows, columns) == (slice(2, 3), slice(5, 7))


@pytest.mark.parametrize("size", [(3000, 4000), (20, 9000), (5000, 3000)])
def test_large_photos_are_made_smaller(size: tuple[int, int]) -> None:
    pyramid = build(np.zeros((*size, 3), np.uint8), SIDES)
    _, height, width = pyramid.planes.shape
    assert max(height, width) <= 1280
    assert height * width <= 1_005_000
    assert height == pytest.approx(size[0] * pyramid.ratio, abs=1)


def test_what_fits_no_canvas_is_made_smaller() -> None:
    pyramid = build(photo(400, 500), (64, 128))
    assert pyramid.canvas.shape == (4, 128, 128)
    assert pyramid.ratio < 0.5


@pytest.mark.parametrize("size", [(1, 1), (11, 300), (300, 5)])
def test_photos_too_small_have_no_levels(size: tuple[int, int]) -> None:
    assert build(photo(*size), SIDES).levels == ()
