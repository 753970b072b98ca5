from __future__ import annotations

import numpy as np

from trigger_api.evaluation.emotions.agreement import agreement, letterboxed, undoubled

FACES = np.array([[0, 0, 10, 10, 0.99], [20, 0, 30, 10, 0.99], [40, 0, 50, 10, 0.8]], np.float32)


def test_every_answer_is_a_face_or_extra() -> None:
    answers = np.array(
        [
            [0, 0, 10, 11, 0.9],  # the first face
            [0, 1, 10, 10, 0.8],  # the same one again
            [40, 0, 50, 10, 0.7],  # of this one MTCNN is not sure
            [20, 0, 30, 10, 0.2],  # too faint
        ],
        np.float32,
    )
    seen = agreement([FACES], [answers], 0.5)
    assert (seen.faces, seen.found, seen.extra) == (2, 1, 1)
    assert seen.figures()["found, percent"] == 50


def test_one_box_stays_for_one_face() -> None:
    twice = np.concatenate([FACES, FACES + np.array([1, 1, 1, 1, -0.1], np.float32)])
    assert undoubled(twice)[:, 0].tolist() == [0, 20, 40]


def test_a_photo_is_fitted_into_the_corner() -> None:
    image, scale = letterboxed(np.zeros((10, 40, 3), np.uint8), (64, 80))
    assert scale == 2
    assert not image[:20].any()
    assert (image[20:] == 114).all()
