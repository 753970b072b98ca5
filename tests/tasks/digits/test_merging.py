from __future__ import annotations

import numpy as np

from trigger_api.tasks.digits.components import BoundingBox, Component
from trigger_api.tasks.digits.merging import find_broken, merge


def bar(top: int, left: int, bottom: int, right: int, margin: int = 1) -> Component:
    ink = np.pad(np.ones((bottom - top, right - left), np.float32), margin)
    return Component(BoundingBox(top, left, bottom, right), ink)


def test_neighbours_may_be_one_digit_if_either_is_doubtful() -> None:
    components = [bar(10, 60, 50, 70), bar(10, 40, 40, 55), bar(10, 120, 50, 130)]
    assert list(find_broken(components, [True, False, True])) == [(1, 0)]
    assert list(find_broken(components, [False, False, False])) == []


def test_distant_or_wide_pairs_are_two_digits() -> None:
    assert not list(find_broken([bar(0, 0, 40, 30), bar(0, 35, 40, 65)], [True, True]))
    assert not list(find_broken([bar(0, 0, 40, 10), bar(60, 0, 100, 10)], [True, True]))


def test_merged_components_keep_their_positions() -> None:
    merged = merge(bar(10, 60, 50, 70), bar(20, 40, 30, 55, margin=0))
    assert merged.box == BoundingBox(10, 40, 50, 70)
    ys, xs = np.nonzero(merged.ink)
    height, width = merged.ink.shape
    ink = merged.ink[(height - 40) // 2 : (height + 40) // 2, (width - 30) // 2 : (width + 30) // 2]
    assert ink[:, 20:].all()
    assert ink[10:20, :15].all()
    assert not ink[21:, :15].any()
    assert (int(np.ptp(ys)), int(np.ptp(xs))) == (39, 29)
