from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import softmax
from typer.testing import CliRunner

from helpers.synthetic_faces import EASY, MODEL_CONFIG, split
from trigger_api.cli.main import app
from trigger_api.datasets.fer2013 import LABELS
from trigger_api.evaluation.emotions.scores import evaluate_emotions
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.training.emotions import classifier_recipe, mobilenet
from trigger_api.training.emotions.classifier_recipe import train_classifier
from trigger_api.training.emotions.network import export_model, training_model, transfer_weights
from trigger_api.training.emotions.predictions import tta_logits
from trigger_api.training.emotions.run import Run
from trigger_api.training.emotions.sampler import FaceSampler
from trigger_api.training.emotions.targets import TargetConfig, loss
from trigger_api.training.loop import TrainingConfig


@pytest.mark.slow
def test_the_recipe_learns_and_resumes(tmp_path: Path) -> None:
    output, lines = tmp_path / "small" / "2", list[str]()
    config = TrainingConfig(batch_size=32, epochs=6, learning_rate=0.02, ema=0.5)
    run = Run(split(212), output, tmp_path / "work", held_out=20, precision="float32", log=lines.append)
    for _ in range(2):
        train_classifier(run, MODEL_CONFIG, config, EASY)
    card = read_card(output)
    assert (card.task, card.name, card.version, card.labels) == ("emotions", "small", "2", LABELS)
    assert sum(line.startswith("epoch") for line in lines) == 6, "the second run had nothing left to do"
    assert evaluate_emotions(split(70), output).figures()["accuracy"] > 60
    network = keras.models.load_model(output / WEIGHTS_FILE, compile=False, safe_mode=True)
    picture = split(1).faces[..., None]
    probabilities = network({"image": picture})["probabilities"].numpy()
    assert probabilities.sum() == pytest.approx(1, abs=1e-4)
    mirrored = network({"image": picture[:, :, ::-1]})["probabilities"].numpy()
    np.testing.assert_allclose(mirrored, probabilities, atol=1e-4)


def test_teacher_probabilities_are_mixed_into_the_labels() -> None:
    teacher_probs = np.tile(np.eye(7, dtype=np.float32)[3], (8, 1))
    target_config = TargetConfig(label_smoothing=0, mixup=0, distillation_weight=0.25)
    sampler = FaceSampler(split(8), TrainingConfig(batch_size=4, epochs=2), target_config, teacher_probs)
    inputs, targets = sampler.batch([0, 1, 2, 3], 0)
    assert inputs["faces"].shape == (4, 32, 32, 1), "the first are small"
    np.testing.assert_allclose(targets[0, :7], [0.75, 0, 0, 0.25, 0, 0, 0], atol=1e-6)
    assert np.isfinite(loss(targets, np.zeros((4, 17), np.float32)))
    assert sampler.batch([0, 1, 2, 3], 3)[0]["faces"].shape == (4, 48, 48, 1)


@pytest.mark.slow
def test_an_exported_model_predicts_what_the_trained_one_does() -> None:
    model_config = mobilenet.ModelConfig()
    network = training_model(model_config, votes=10)
    final = export_model(network, model_config, temperature=2.0)
    faces = split(2).faces[..., None]
    wanted = softmax(tta_logits(network, faces[..., 0]) / 2, axis=-1).mean(axis=0)
    np.testing.assert_allclose(final({"image": faces})["probabilities"].numpy(), wanted, atol=1e-3)


@pytest.mark.slow
def test_a_deeper_network_starts_from_the_weights_of_a_shallower_one() -> None:
    shallow = export_model(training_model(MODEL_CONFIG, votes=10), MODEL_CONFIG, temperature=1.0)
    network = training_model(replace(MODEL_CONFIG, blocks=(1, 2, 2)), votes=10)
    transfer_weights(network, shallow)
    faces = split(3).faces
    probabilities = softmax(tta_logits(network, faces), axis=-1).mean(axis=0)
    np.testing.assert_allclose(probabilities, shallow({"image": faces[..., None]})["probabilities"].numpy(), atol=1e-5)
    with pytest.raises(ValueError, match="another architecture"):
        transfer_weights(training_model(replace(MODEL_CONFIG, stem=(4, 4)), votes=10), shallow)


@pytest.mark.parametrize(
    ("fine_tune", "epochs", "learning_rate", "config", "target_config"),
    [
        (True, None, 0.5, replace(classifier_recipe.FINE_TUNE, learning_rate=0.5), classifier_recipe.FINE_TUNE_TARGETS),
        (
            False,
            3,
            None,
            replace(classifier_recipe.CONFIGS["inception-resnet"], epochs=3),
            classifier_recipe.TARGET_CONFIGS["inception-resnet"],
        ),
    ],
)
def test_a_model_is_fine_tuned_or_trained_with_the_whole_schedule(
    monkeypatch: pytest.MonkeyPatch,
    fine_tune: bool,
    epochs: int | None,
    learning_rate: float | None,
    config: TrainingConfig,
    target_config: TargetConfig,
) -> None:
    given: list[object] = []
    monkeypatch.setattr(classifier_recipe, "read_split", lambda *_: split(14))
    monkeypatch.setattr(classifier_recipe, "train_classifier", lambda *given_now, **_: given.extend(given_now))
    path = Path()
    classifier_recipe.train_emotions(
        model="inception-resnet", sheet=path, labels=path, split="train", tests=(), output=path, work=path,
        start=path, fine_tune=fine_tune, epochs=epochs, learning_rate=learning_rate,
    )  # fmt: skip
    assert given[2:] == [config, target_config]


def test_the_command_asks_for_what_a_network_needs(tmp_path: Path) -> None:
    for name in ("sheet.png", "labels.npz"):
        (tmp_path / name).touch()
    paths = {"sheet": "sheet.png", "labels": "labels.npz", "out": "m/1", "work": "work"}
    options = [text for name, path in paths.items() for text in (f"--{name}", str(tmp_path / path))]
    for model, missing in (("yolo3", "from a teacher"), ("mobilenetv2", "published weights")):
        result = CliRunner().invoke(app, ["train", "emotions", "--model", model, *options])
        assert result.exit_code == 2
        assert missing in result.output
