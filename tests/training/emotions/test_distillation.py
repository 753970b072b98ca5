from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from helpers.synthetic_faces import EASY, PLAN, split
from trigger_api.datasets.fer2013 import ELECTED, LABELS
from trigger_api.evaluation.emotions.calibration import softmax
from trigger_api.evaluation.emotions.scores import evaluate_emotions
from trigger_api.model_card import read_card
from trigger_api.training.emotions import classifier_recipe
from trigger_api.training.emotions.distillation import Lesson, Term, train_at_school
from trigger_api.training.emotions.network import answered, learner, stored
from trigger_api.training.emotions.predictions import looks
from trigger_api.training.loop import Course

COURSE = Course(size=32, epochs=6, rate=0.02)
TERM = Term(teachers=1, taught=COURSE, learned=COURSE, teaching=EASY)


@pytest.mark.slow
def test_a_pupil_learns_from_its_teachers_and_a_school_resumes(tmp_path: Path) -> None:
    output, said = tmp_path / "small" / "1", list[str]()
    start = stored(learner(PLAN, votes=10), PLAN, temperature=1.0, mirrored=False)
    school = partial(train_at_school, split(212), output, tmp_path / "work", plan=PLAN, teacher=replace(PLAN, step=1))
    for _ in range(2):
        school(term=TERM, start=start, held_out=20, precision="float32", say=said.append)
    for name in ("teacher-0", "pupil"):
        assert sum(line.startswith(f"{name}, epoch") for line in said) == 6, "the second time there was nothing to do"
    assert read_card(output).figures["mirror image looked at, too"]
    assert evaluate_emotions(split(70), output).figures()["accuracy"] > 60


def test_teachers_are_asked_about_faces_as_the_pupil_sees_them() -> None:
    network = learner(PLAN, votes=10)
    lesson = Lesson(network, [network], replace(EASY, mixed=0, believed=0.75), steps=4)
    shown = split(4)
    wanted = np.concatenate([np.eye(7, dtype=np.float32)[shown.labels], shown.votes], axis=1)
    answers = lesson({"faces": shown.faces, "wanted": wanted}, training=False)
    said = np.asarray(ops.softmax(answers["scores"][:, :7]))
    np.testing.assert_allclose(answers["wanted"][:, :7], 0.75 * said + 0.25 * wanted[:, :7], atol=1e-5)
    np.testing.assert_allclose(answers["wanted"][:, 7:], shown.votes)


def test_who_goes_to_school(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its own teachers"):
        classifier_recipe.train_emotions(
            model="inception-resnet", sheet=tmp_path, labels=tmp_path, split="train", tests=(), output=tmp_path,
            work=tmp_path, teachers=(tmp_path,), school=True,
        )  # fmt: skip


def test_votes_are_heard_in_the_answer_as_they_are_in_the_weights() -> None:
    network = learner(PLAN, votes=10)
    final = stored(network, PLAN, temperature=2.0, mirrored=False, votes=0.5)
    faces = split(3).faces
    scores = looks(network, faces, 0.5)[:1] / 2
    np.testing.assert_allclose(final({"image": faces[..., None]})["probabilities"], softmax(scores)[0], atol=1e-5)
    votes = np.eye(17, dtype=np.float32)[7:14]
    assert [LABELS[number] for number in answered(votes, 0.5).argmax(axis=1)] == list(ELECTED)
