from __future__ import annotations

import numpy as np
import pytest

from trigger_api.media.boxes import fast_nms, iou, nms
from trigger_api.tasks.faces.boxes import joined, moved, points, proposals, squared, within

ROW = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [50, 50, 60, 60]], np.float64)


def scored(*scores: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(scores, np.float32)


def test_overlaps() -> None:
    table = iou(ROW)
    assert table[0].tolist() == pytest.approx([1, 60 / 140, 20 / 180, 0])
    assert iou(ROW[:1], ROW[1:2] * [1, 1, 1, 0.5], least=True)[0, 0] == pytest.approx(30 / 50)
    assert iou(np.zeros((2, 4))).max() == 0
    assert iou(np.zeros((0, 4))).shape == (0, 0)


def test_whoever_is_overlapped_by_a_better_one_goes() -> None:
    assert fast_nms(ROW, 0.3).tolist() == [0, 3]
    assert nms(ROW, 0.3) == [0, 2, 3]  # the third is overlapped by the second alone, which is gone
    assert fast_nms(ROW, 0.9).tolist() == nms(ROW, 0.9) == [0, 1, 2, 3]
    assert fast_nms(np.zeros((0, 4)), 0.5).tolist() == nms(np.zeros((0, 4)), 0.5) == []


def test_squares_have_the_same_centres() -> None:
    assert squared(np.array([[10.0, 10, 20, 30]])).tolist() == [[5, 10, 25, 30]]


def test_boxes_and_points_by_shares_of_their_sides() -> None:
    box = np.array([[10.0, 20, 19, 29]])
    assert moved(box, np.array([[0.1, 0, -0.1, 0.2]], np.float32))[0] == pytest.approx([11, 20, 18, 31])
    shares = np.array([[0.0, 1, 0.5, 0, 1, 0, 0, 0.5, 1, 1]], np.float32)
    assert points(box, shares)[0].tolist() == [[9, 19], [19, 19], [14, 24], [9, 29], [19, 29]]


def test_boxes_end_with_the_photo() -> None:
    assert within(np.array([[-5.0, -5, 200, 200]]), 50, 100).tolist() == [[0, 0, 99, 49]]


def test_proposals_of_one_size() -> None:
    scores, offsets = np.zeros((20, 20), np.float32), np.zeros((4, 20, 20), np.float32)
    scores[5, 6], scores[5, 7], scores[0, 0] = 0.9, 0.8, 0.65
    offsets[0, 5, 6] = -1 / 11
    boxes, found = proposals(scores, offsets, 0.5, 0.6)
    assert found.tolist() == pytest.approx([0.9, 0.65])
    assert boxes[0] == pytest.approx([24, 22, 48, 44])
    assert boxes[1] == pytest.approx([2, 2, 24, 24])


def test_the_likeliest_first() -> None:
    boxes, scores = joined([(ROW[:1], scored(0.2)), (ROW[1:3], scored(0.9, 0.1)), (ROW[:0], scored())])
    assert scores.tolist() == pytest.approx([0.9, 0.2, 0.1])
    assert boxes[0].tolist() == ROW[1].tolist()
