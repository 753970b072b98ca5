from __future__ import annotations

import numpy as np
import pytest

from trigger_api.media.boxes import fast_nms, iou, nms

ROW = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [50, 50, 60, 60]], np.float64)


def test_intersection_over_union() -> None:
    table = iou(ROW)
    assert table[0].tolist() == pytest.approx([1, 60 / 140, 20 / 180, 0])
    assert iou(ROW[:1], ROW[1:2] * [1, 1, 1, 0.5], over_smaller=True)[0, 0] == pytest.approx(30 / 50)
    assert iou(np.zeros((2, 4))).max() == 0
    assert iou(np.zeros((0, 4))).shape == (0, 0)


def test_boxes_that_overlap_a_better_one_are_suppressed() -> None:
    assert fast_nms(ROW, 0.3).tolist() == [0, 3]
    assert nms(ROW, 0.3) == [0, 2, 3]  # the third overlaps only the second, which is suppressed
    assert fast_nms(ROW, 0.9).tolist() == nms(ROW, 0.9) == [0, 1, 2, 3]
    assert fast_nms(np.zeros((0, 4)), 0.5).tolist() == nms(np.zeros((0, 4)), 0.5) == []
