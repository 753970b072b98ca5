from __future__ import annotations

import numpy as np

from trigger_api.evaluation.emotions.detection_agreement import agreement, find_all
from trigger_api.model_card import ModelCard, TensorSpec
from trigger_api.scheduler import Tensors

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


def test_boxes_are_in_the_photo_s_pixels() -> None:
    spec = TensorSpec(name="image", shape=(64, 64, 3), dtype="uint8")
    card = ModelCard(task="emotions", name="some", version="1", inputs=(spec,), outputs=())

    def run(tensors: Tensors) -> Tensors:
        count = len(tensors["image"])
        box = np.array([[8, 4, 16, 12]], np.float32)
        emotions = np.full((count, 1, 7), 1 / 7, np.float32)
        return {"boxes": np.stack([box] * count), "scores": np.ones((count, 1), np.float32), "emotions": emotions}

    large, small = find_all([np.zeros((64, 128, 3), np.uint8), np.zeros((20, 30, 3), np.uint8)], card, run)
    assert large.tolist() == [[16, 8, 32, 24, 1]]
    assert small.tolist() == [[8, 4, 16, 12, 1]]
