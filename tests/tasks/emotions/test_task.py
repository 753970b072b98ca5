from __future__ import annotations

import numpy as np
import pytest

from helpers.tiny_emotions import LABELS, classifier_card
from trigger_api.scheduler import Tensors
from trigger_api.tasks.emotions.task import BOXES, EMOTIONS, IMAGE, SCORES, postprocess, preprocess
from trigger_api.tasks.faces.task import Face


def output_of(*boxes: tuple[float, ...], scores: tuple[float, ...]) -> Tensors:
    emotions = np.full((len(boxes), len(LABELS)), 1 / len(LABELS), np.float32)
    table = np.array(boxes, np.float32).reshape(-1, 4)
    return {BOXES: table, SCORES: np.array(scores, np.float32), EMOTIONS: emotions}


def test_boxes_are_in_pixels_of_the_original_photo() -> None:
    (found,) = postprocess(output_of((10, 10, 30, 20), scores=(0.9,)), 0.5, (50, 100), (500, 1000))
    assert found.face.box == pytest.approx((100, 100, 300, 200))
    assert found.face.landmarks == ()
    assert sum(found.probabilities) == pytest.approx(1)


def test_highest_scores_first_and_each_face_once() -> None:
    boxes = ((0, 0, 20, 20), (40, 0, 60, 20), (1, 0, 21, 20), (80, 80, 99, 99))
    found = postprocess(output_of(*boxes, scores=(0.7, 0.8, 0.9, 0.4)), 0.5, (100, 100), (100, 100))
    assert [each.face.score for each in found] == pytest.approx([0.9, 0.8])


def test_emotions_are_the_mean_of_overlapping_boxes() -> None:
    boxes = ((0, 0, 20, 20), (1, 0, 21, 20), (40, 0, 60, 20), (0, 60, 20, 80))
    one_each = {EMOTIONS: np.eye(len(LABELS), dtype=np.float32)[:4]}
    output = {**output_of(*boxes, scores=(0.9, 0.3, 0.8, 0.1)), **one_each}
    first, second = postprocess(output, 0.5, (100, 100), (100, 100))  # the box below the threshold counts too
    assert first.probabilities[:3] == pytest.approx((0.75, 0.25, 0))
    assert second.probabilities[:3] == pytest.approx((0, 0, 1))


def test_boxes_are_clipped_and_empty_ones_dropped() -> None:
    boxes = ((-10, -10, 20, 20), (50, 50, 50, 60), (np.nan, 0, 9, 9), (70, 70, 200, np.inf), (120, 0, 130, 9))
    found = postprocess(output_of(*boxes, scores=(0.9,) * 5), 0.5, (100, 100), (100, 100))
    assert [each.face.box for each in found] == [(0, 0, 20, 20), (70, 70, 100, 100)]


def test_faces_are_cropped_in_grey_with_a_margin() -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[10:20, 10:20] = (0, 255, 0)
    face = Face((10, 10, 20, 20), 1.0)
    tight, wide = (preprocess(pixels, [face], classifier_card(margin=margin))[0][IMAGE] for margin in (1.0, 2.0))
    assert tight.shape == wide.shape == (48, 48, 1)
    assert tight.min() == tight.max() == 150
    assert wide.mean() == pytest.approx(150 / 4, abs=3)
