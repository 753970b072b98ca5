from __future__ import annotations

import numpy as np
import pytest

from trigger_api.media import boxes
from trigger_api.training.box_overlap import giou, iou

BOXES = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [0, 0, 4, 2], [8, 8, 9, 9]], np.float32)


def test_it_is_the_overlap_that_is_served() -> None:
    assert np.asarray(iou(BOXES[:, None], BOXES)) == pytest.approx(boxes.iou(BOXES.astype(np.float64)), abs=1e-6)


def test_boxes_that_are_farther_apart_overlap_less_than_nothing() -> None:
    overlap = np.asarray(giou(BOXES[:1], BOXES))
    assert overlap == pytest.approx([1, 4 / 28 - 8 / 36, 0.5, -(81 - 17) / 81], abs=1e-5)
