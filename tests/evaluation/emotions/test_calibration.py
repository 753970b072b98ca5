from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from trigger_api.evaluation.emotions.calibration import calibration_error, temperature


def test_the_error_is_the_gap_between_confidence_and_accuracy() -> None:
    sure = np.tile([0.9, 0.1], (10, 1))
    assert calibration_error(sure, np.array([0] * 9 + [1])) == pytest.approx(0)
    assert calibration_error(sure, np.ones(10, np.int64)) == pytest.approx(0.9)


def test_scores_that_are_too_large_are_found_out() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(0, 1.5, (4_000, 5))
    labels = np.array([random.choice(5, p=row) for row in softmax(scores, axis=-1)])
    assert temperature(2 * scores[None], labels) == pytest.approx(2, rel=0.1)
    assert temperature(np.zeros((1, 0, 5)), np.zeros(0, np.int64)) == 1
