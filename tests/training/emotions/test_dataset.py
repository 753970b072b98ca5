from __future__ import annotations

import numpy as np

from trigger_api.datasets.fer2013 import Split
from trigger_api.training.emotions.dataset import clean, hold_out


def split(count: int) -> Split:
    faces = np.random.default_rng(0).integers(0, 256, (count, 48, 48), np.uint8)
    return Split(faces, np.arange(count) % 7, np.zeros((count, 0), np.float32))


def test_test_faces_copies_contradictions_and_blanks_are_left_out() -> None:
    whole = split(8)
    whole.faces[1] = whole.faces[0]  # the same face under two labels
    whole.faces[3] = whole.faces[2]
    whole.labels[3] = whole.labels[2]  # a copy
    whole.faces[4] = 7
    kept = clean(whole, [whole.faces[7:]])
    assert kept.labels.tolist() == whole.labels[[2, 5, 6]].tolist()


def test_faces_that_are_held_out_are_not_trained_on() -> None:
    known, validation = hold_out(split(20), 5)
    assert (len(known.labels), len(validation.labels)) == (15, 5)
    assert not {face.tobytes() for face in known.faces} & {face.tobytes() for face in validation.faces}
    assert (hold_out(split(20), 5)[1].faces == validation.faces).all()
