from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_api.tasks.faces.pyramid import CELL, Level, build

SIDES = tuple(range(64, 1025, 32))


def photo(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def seen(
    canvases: np.ndarray[tuple[int, ...], np.dtype[np.float32]], level: Level
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A size of the photo as it lies on the canvases, put together again, with its marks."""
    parts = []
    for canvas, half in zip(canvases, level.halves, strict=True):
        columns = slice(level.left, level.left + half.stop - half.start)
        parts.append(canvas[:, level.top : level.top + level.height, columns])
    first, second = parts
    return np.concatenate([first[:, :, : level.cut], second], axis=2)


def mean(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], top: float, bottom: float) -> float:
    """Of the first column, from one place to another, pixels at the ends in part."""
    rows = np.arange(pixels.shape[0])
    shares = (np.minimum(bottom, rows + 1) - np.maximum(top, rows)).clip(0)
    return float((shares * pixels[:, 0, 0]).sum() / (bottom - top))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400))
def test_sizes_lie_side_by_side(height: int, width: int) -> None:
    pyramid, canvases = build(photo(height, width), SIDES)
    taken = np.zeros(canvases.shape[2:], int)
    for level in pyramid.levels:
        assert level.top % 2 == level.left % 2 == 0
        assert min(level.height, level.width) >= CELL
        widths = [half.stop - half.start for half in level.halves]
        assert widths[0] >= widths[1]
        taken[level.top : level.top + level.height, level.left : level.left + widths[0]] += 1
        assert seen(canvases, level).shape == (4, level.height, level.width)
        assert seen(canvases, level)[:3].max() <= 255.01
        assert not seen(canvases, level)[3].any()
    assert taken.max(initial=0) <= 1


def test_a_pixel_is_the_mean_of_what_it_covers() -> None:
    pixels = photo(240, 1)
    pyramid, canvases = build(np.repeat(pixels, 300, axis=1), SIDES)
    for level in pyramid.levels:
        part = 240 / level.height
        expected = [mean(pixels, i * part, (i + 1) * part) for i in range(level.height)]
        assert seen(canvases, level)[0, :, level.width // 2] == pytest.approx(expected, abs=0.01)
        assert np.ptp(seen(canvases, level)[0], axis=1).max() < 0.01


def test_halves_overlap_by_what_one_look_spans() -> None:
    left, right = Level(1.0, 12, 100).halves
    assert (left, right) == (slice(0, 56), slice(46, 100))
    assert Level(1.0, 12, 12).halves == (slice(0, 12), slice(2, 12))


def test_the_smallest_faces_fill_a_cell() -> None:
    pyramid, _ = build(photo(100, 200), SIDES)
    assert (pyramid.levels[0].height, pyramid.levels[0].width) == (60, 120)
    assert pyramid.levels[1].scale == pytest.approx(0.6 * 0.709)
    assert pyramid.ratio == 1


def test_what_is_after_odd_sides_is_marked() -> None:
    pyramid, canvases = build(photo(105, 205), SIDES)  # 63 x 123 pixels at the first size
    first = pyramid.levels[0]
    assert (first.height, first.width) == (63, 123)
    marks = canvases[:, 3, first.top : first.top + 64, first.left : first.left + 66]
    assert (marks[:, 63] == 255).all()
    right = first.halves[1]
    assert (marks[1, :63, right.stop - right.start] == 255).all()
    assert not marks[0, :63].any()


def test_answers_are_put_together_again() -> None:
    maps = np.zeros((2, 5, 30, 30), np.float32)
    level = Level(1.0, 14, 21, top=4, left=10)  # two rows of six looks
    maps[0, :, 2:4, 5:8], maps[1, :, 2:4, 5:8] = [0, 1, 2], [3, 4, 5]
    assert level.answers(maps).shape == (5, 2, 6)
    assert level.answers(maps)[3, 1].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [(3000, 4000), (20, 9000), (5000, 3000)])
def test_large_photos_are_made_smaller(size: tuple[int, int]) -> None:
    pyramid, _ = build(np.zeros((*size, 3), np.uint8), SIDES)
    height, width = pyramid.planes.shape[1:]
    assert max(height, width) <= 1280
    assert height * width <= 1_005_000
    assert height == pytest.approx(size[0] * pyramid.ratio, abs=1)


def test_what_fits_no_canvas_is_made_smaller() -> None:
    pyramid, canvases = build(photo(400, 500), (64, 128))
    assert canvases.shape == (2, 4, 128, 128)
    assert pyramid.ratio < 0.5


@pytest.mark.parametrize("size", [(1, 1), (11, 300), (300, 5)])
def test_photos_too_small_have_no_levels(size: tuple[int, int]) -> None:
    assert build(photo(*size), SIDES)[0].levels == ()
