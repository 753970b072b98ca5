from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.tasks.digits.binarization import Sheet
from trigger_api.tasks.digits.ruled_lines import without_rules


def sheet(ink: NDArray[np.float32]) -> Sheet:
    return Sheet(ink, ink > 0)


def ruled(slope: float, *, upright: bool = False) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A page of rules with a thick bar across them, and the bar alone."""
    bar = np.zeros((200, 300), np.float32)
    bar[30:170, 140:150] = 1
    page = bar.copy()
    for start in (40, 90, 140):
        rows = np.rint(start + slope * np.arange(300)).astype(int)
        page[rows, np.arange(300)] = page[rows + 1, np.arange(300)] = 1
    return (page.T, bar.T) if upright else (page, bar)


@pytest.mark.parametrize("slope", [0, 0.05, -0.1])
@pytest.mark.parametrize("upright", [False, True])
def test_rules_go_and_what_crosses_them_stays(slope: float, upright: bool) -> None:
    page, bar = ruled(slope, upright=upright)
    left = without_rules(sheet(page))
    assert left[bar > 0].mean() > 0.97
    assert left[bar == 0].sum() < 0.05 * page[bar == 0].sum()


def test_writing_is_no_rule() -> None:
    page = np.zeros((100, 300), np.float32)
    page[20:80, 40:50] = page[45:52, 40:200] = 1
    assert (without_rules(sheet(page)) == page).all()


def test_a_picture_of_one_digit_has_no_rules() -> None:
    page = np.zeros((28, 28), np.float32)
    page[5:8] = 1
    assert without_rules(sheet(page)) is page


def test_faint_rules_go_by_their_traces() -> None:
    page, bar = ruled(0.05)
    faint = np.asarray(np.where(bar > 0, 1, 0.25 * page * (np.arange(300) % 40 < 15)), np.float32)
    left = without_rules(Sheet(faint, page > 0))
    assert left[bar > 0].mean() > 0.97
    assert left[bar == 0].sum() < 0.05 * faint[bar == 0].sum()


def test_a_broad_shade_is_no_rule() -> None:
    page, bar = ruled(0)
    traces = np.zeros(page.shape, bool)
    traces[80:120] = True
    assert (without_rules(Sheet(bar, traces | (bar > 0))) == bar).all()
