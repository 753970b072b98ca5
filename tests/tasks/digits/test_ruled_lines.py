from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.tasks.digits.binarization import Foreground
from trigger_api.tasks.digits.ruled_lines import remove_ruled_lines


def foreground_of(ink: NDArray[np.float32]) -> Foreground:
    return Foreground(ink, ink > 0)


def ruled(slope: float, *, upright: bool = False) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A page of ruled lines with a thick bar across them, and the bar alone."""
    bar = np.zeros((200, 300), np.float32)
    bar[30:170, 140:150] = 1
    page = bar.copy()
    for start in (40, 90, 140):
        rows = np.rint(start + slope * np.arange(300)).astype(int)
        page[rows, np.arange(300)] = page[rows + 1, np.arange(300)] = 1
    return (page.T, bar.T) if upright else (page, bar)


@pytest.mark.parametrize("slope", [0, 0.05, -0.1])
@pytest.mark.parametrize("upright", [False, True])
def test_lines_are_removed_and_strokes_across_them_stay(slope: float, upright: bool) -> None:
    page, bar = ruled(slope, upright=upright)
    rest = remove_ruled_lines(foreground_of(page))
    assert rest[bar > 0].mean() > 0.97
    assert rest[bar == 0].sum() < 0.05 * page[bar == 0].sum()


def test_writing_is_not_removed() -> None:
    page = np.zeros((100, 300), np.float32)
    page[20:80, 40:50] = page[45:52, 40:200] = 1
    assert (remove_ruled_lines(foreground_of(page)) == page).all()


def test_a_picture_of_one_digit_is_left_alone() -> None:
    page = np.zeros((28, 28), np.float32)
    page[5:8] = 1
    assert remove_ruled_lines(foreground_of(page)) is page


def test_faint_lines_are_found_by_their_traces() -> None:
    page, bar = ruled(0.05)
    faint = np.asarray(np.where(bar > 0, 1, 0.25 * page * (np.arange(300) % 40 < 15)), np.float32)
    rest = remove_ruled_lines(Foreground(faint, page > 0))
    assert rest[bar > 0].mean() > 0.97
    assert rest[bar == 0].sum() < 0.05 * faint[bar == 0].sum()


def test_a_broad_shade_is_not_a_line() -> None:
    page, bar = ruled(0)
    traces = np.zeros(page.shape, bool)
    traces[80:120] = True
    assert (remove_ruled_lines(Foreground(bar, traces | (bar > 0))) == bar).all()
