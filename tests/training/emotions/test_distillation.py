from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from keras import ops
from scipy.special import softmax

from helpers.synthetic_faces import EASY, MODEL_CONFIG, split
from trigger_api.datasets.fer2013 import ELECTED, LABELS
from trigger_api.evaluation.emotions.scores import evaluate_emotions
from trigger_api.model_card import read_card
from trigger_api.training.emotions import classifier_recipe
from trigger_api.training.emotions.distillation import DistillationConfig, DistillationModel, distill
from trigger_api.training.emotions.network import combined_logits, export_model, training_model
from trigger_api.training.emotions.predictions import tta_logits
from trigger_api.training.emotions.run import Run
from trigger_api.training.loop import TrainingConfig

TRAINING = TrainingConfig(batch_size=24, epochs=4, learning_rate=0.02)
CONFIG = DistillationConfig(teachers=1, teacher=TRAINING, student=TRAINING, targets=EASY)


@pytest.mark.slow
def test_a_student_is_trained_after_its_teachers_and_a_run_resumes(tmp_path: Path) -> None:
    output, lines = tmp_path / "small" / "1", list[str]()
    start = export_model(training_model(MODEL_CONFIG, votes=10), MODEL_CONFIG, temperature=1.0)
    run = Run(split(212), output, tmp_path / "work", held_out=20, precision="float32", log=lines.append)
    for _ in range(2):
        distill(run, MODEL_CONFIG, config=CONFIG, teacher=MODEL_CONFIG, start=start)
    for name in ("teacher-0", "student"):
        assert sum(line.startswith(f"{name}, epoch") for line in lines) == 4, "the second run had nothing to do"
    assert read_card(output).figures["mirror image looked at, too"]
    assert evaluate_emotions(split(70), output).figures()["accuracy"] > 60


def test_teachers_predict_faces_as_the_student_sees_them() -> None:
    network = training_model(MODEL_CONFIG, votes=10)
    target_config = replace(EASY, mixup=0, distillation_weight=0.75)
    model = DistillationModel(network, [network], target_config, steps=4)
    shown = split(4)
    labels = np.concatenate([np.eye(7, dtype=np.float32)[shown.labels], shown.votes], axis=1)
    answers = model({"faces": shown.faces, "labels": labels}, training=False)
    probabilities = np.asarray(ops.softmax(answers["scores"][:, :7]))
    np.testing.assert_allclose(answers["targets"][:, :7], 0.75 * probabilities + 0.25 * labels[:, :7], atol=1e-5)
    np.testing.assert_allclose(answers["targets"][:, 7:], shown.votes)


def test_distillation_trains_its_own_teachers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its own teachers"):
        classifier_recipe.train_emotions(
            model="inception-resnet", sheet=tmp_path, labels=tmp_path, split="train", tests=(), output=tmp_path,
            work=tmp_path, teachers=(tmp_path,), with_distillation=True,
        )  # fmt: skip


def test_votes_are_combined_in_logits_as_in_weights() -> None:
    network = training_model(MODEL_CONFIG, votes=10)
    final = export_model(network, MODEL_CONFIG, temperature=2.0, votes=0.5)
    faces = split(3).faces
    wanted = softmax(tta_logits(network, faces, 0.5) / 2, axis=-1).mean(axis=0)
    np.testing.assert_allclose(final({"image": faces[..., None]})["probabilities"], wanted, atol=1e-5)
    votes = np.eye(17, dtype=np.float32)[7:14]
    assert [LABELS[number] for number in combined_logits(votes, 0.5).argmax(axis=1)] == list(ELECTED)
