from __future__ import annotations

import numpy as np
import pytest

from trigger_api.tasks.faces.boxes import (
    clip_boxes,
    join_levels,
    place_landmarks,
    proposals,
    regress_boxes,
    square_boxes,
)

ROW = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [50, 50, 60, 60]], np.float64)


def scores_of(*scores: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(scores, np.float32)


def test_squares_keep_the_centres() -> None:
    assert square_boxes(np.array([[10.0, 10, 20, 30]])).tolist() == [[5, 10, 25, 30]]


def test_offsets_and_landmarks_are_fractions_of_the_sides() -> None:
    box = np.array([[10.0, 20, 19, 29]])
    assert regress_boxes(box, np.array([[0.1, 0, -0.1, 0.2]], np.float32))[0] == pytest.approx([11, 20, 18, 31])
    landmarks = np.array([[0.0, 1, 0.5, 0, 1, 0, 0, 0.5, 1, 1]], np.float32)
    assert place_landmarks(box, landmarks)[0].tolist() == [[9, 19], [19, 19], [14, 24], [9, 29], [19, 29]]


def test_boxes_are_clipped_to_the_photo() -> None:
    assert clip_boxes(np.array([[-5.0, -5, 200, 200]]), 50, 100).tolist() == [[0, 0, 99, 49]]


def test_proposals_of_one_level() -> None:
    scores, offsets = np.zeros((20, 20), np.float32), np.zeros((4, 20, 20), np.float32)
    scores[5, 6], scores[5, 7], scores[0, 0] = 0.9, 0.8, 0.65
    offsets[0, 5, 6] = -1 / 11
    boxes, kept = proposals(scores, offsets, 0.5, 0.6)
    assert kept.tolist() == pytest.approx([0.9, 0.65])
    assert boxes[0] == pytest.approx([24, 22, 48, 44])
    assert boxes[1] == pytest.approx([2, 2, 24, 24])


def test_levels_are_joined_highest_scores_first() -> None:
    boxes, scores = join_levels([(ROW[:1], scores_of(0.2)), (ROW[1:3], scores_of(0.9, 0.1)), (ROW[:0], scores_of())])
    assert scores.tolist() == pytest.approx([0.9, 0.2, 0.1])
    assert boxes[0].tolist() == ROW[1].tolist()
