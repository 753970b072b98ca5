from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from helpers.synthetic_faces import EASY, PLAN, split
from trigger_api.cli.main import app
from trigger_api.datasets.fer2013 import LABELS
from trigger_api.evaluation.emotions.calibration import softmax
from trigger_api.evaluation.emotions.scores import evaluate_emotions
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.training.emotions import classifier_recipe, mobilenet
from trigger_api.training.emotions.batches import Dealer
from trigger_api.training.emotions.classifier_recipe import train_classifier
from trigger_api.training.emotions.network import learner, stored, take_over
from trigger_api.training.emotions.targets import Teaching, loss
from trigger_api.training.loop import Course


@pytest.mark.slow
def test_the_recipe_learns_and_resumes(tmp_path: Path) -> None:
    output, said = tmp_path / "small" / "2", list[str]()
    course = Course(size=32, epochs=8, rate=0.02, average=0.5, save_every=10, say_every=5)
    train = partial(train_classifier, split(212), course=course, held_out=20, precision="float32", say=said.append)
    for _ in range(2):
        train(output, tmp_path / "work", plan=PLAN, teaching=EASY, mirrored=True)
    card = read_card(output)
    assert (card.task, card.name, card.version, card.labels) == ("emotions", "small", "2", LABELS)
    assert sum(line.startswith("epoch") for line in said) == 8, "the second training found nothing left to do"
    assert evaluate_emotions(split(70), output).figures()["accuracy"] > 60
    network = keras.models.load_model(output / WEIGHTS_FILE, compile=False, safe_mode=True)
    picture = split(1).faces[..., None]
    told = network({"image": picture})["probabilities"].numpy()
    assert told.sum() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(network({"image": picture[:, :, ::-1]})["probabilities"].numpy(), told, atol=1e-4)


def test_a_teacher_s_word_is_mixed_in() -> None:
    told = np.tile(np.eye(7, dtype=np.float32)[3], (8, 1))
    dealer = Dealer(split(8), 4, 2, Teaching(smoothing=0, mixed=0, believed=0.25), told)
    inputs, wanted, weights = dealer.batch([0, 1, 2, 3], 0)
    assert inputs["faces"].shape == (4, 32, 32, 1), "the first are seen small"
    np.testing.assert_allclose(wanted[0, :7], [0.75, 0, 0, 0.25, 0, 0, 0], atol=1e-6)
    assert np.isfinite(loss(np.zeros((4, 17), np.float32), wanted, weights))
    assert dealer.batch([0, 1, 2, 3], 3)[0]["faces"].shape == (4, 48, 48, 1)


@pytest.mark.slow
def test_what_is_stored_answers_as_what_learned() -> None:
    plan = mobilenet.Plan()
    network = learner(plan, votes=10)
    final = stored(network, plan, temperature=2.0, mirrored=False)
    faces = split(2).faces[..., None]
    scores = network({"faces": faces.astype(np.float32)})["scores"].numpy()[:, :7]
    wanted = np.exp(scores / 2) / np.exp(scores / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(final({"image": faces})["probabilities"].numpy(), wanted, atol=1e-3)


@pytest.mark.slow
def test_a_deeper_network_goes_on_from_what_a_shallower_one_answers() -> None:
    shallow = stored(learner(PLAN, votes=10), PLAN, temperature=1.0, mirrored=False)
    network = learner(replace(PLAN, blocks=(1, 2, 2)), votes=10)
    take_over(network, shallow)
    faces = split(3).faces[..., None]
    scores = network({"faces": faces.astype(np.float32)})["scores"].numpy()[:, :7]
    np.testing.assert_allclose(softmax(scores[None])[0], shallow({"image": faces})["probabilities"].numpy(), atol=1e-5)
    with pytest.raises(ValueError, match="another network"):
        take_over(learner(replace(PLAN, stem=(4, 4)), votes=10), shallow)


@pytest.mark.parametrize(
    ("gently", "passes", "rate", "course", "teaching"),
    [
        (True, None, 0.5, replace(classifier_recipe.GOING_ON, rate=0.5), classifier_recipe.GENTLE),
        (
            False,
            3,
            None,
            replace(classifier_recipe.COURSES["inception-resnet"], epochs=3),
            classifier_recipe.TEACHINGS["inception-resnet"],
        ),
    ],
)
def test_a_model_goes_on_gently_or_boldly(
    monkeypatch: pytest.MonkeyPatch,
    gently: bool,
    passes: int | None,
    rate: float | None,
    course: Course,
    teaching: Teaching,
) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr(classifier_recipe, "read_split", lambda *_: split(14))
    monkeypatch.setattr(classifier_recipe, "train_classifier", lambda *_, **options: given.update(options))
    path = Path()
    classifier_recipe.train_emotions(
        model="inception-resnet", sheet=path, labels=path, split="train", tests=(), output=path, work=path,
        start=path, gently=gently, passes=passes, rate=rate,
    )  # fmt: skip
    assert (given["course"], given["teaching"]) == (course, teaching)


def test_the_command_asks_for_what_a_network_needs(tmp_path: Path) -> None:
    for name in ("sheet.png", "labels.npz"):
        (tmp_path / name).touch()
    paths = {"sheet": "sheet.png", "labels": "labels.npz", "out": "m/1", "work": "work"}
    options = [text for name, path in paths.items() for text in (f"--{name}", str(tmp_path / path))]
    for model, missing in (("yolo3", "from a teacher"), ("mobilenetv2", "published weights")):
        told = CliRunner().invoke(app, ["train", "emotions", "--model", model, *options])
        assert told.exit_code == 2
        assert missing in told.output
