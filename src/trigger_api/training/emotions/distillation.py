"""Knowledge distillation: teachers larger than what is served predict every face just as the student sees it.

It is meant for machines with an accelerator, on any backend of Keras. Source: L. Beyer, X. Zhai, A. Royer, L. Markeeva,
R. Anil, A. Kolesnikov, "Knowledge distillation: A good teacher is patient and consistent", arXiv:2106.05237.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops, random

from trigger_api.datasets.fer2013 import LABELS, Split
from trigger_api.model_card import ModelCard
from trigger_api.training.dtype_policy import dtype_policy
from trigger_api.training.emotions import inception_resnet
from trigger_api.training.emotions.export import export_classifier
from trigger_api.training.emotions.network import ModelConfig, training_model, transfer_weights
from trigger_api.training.emotions.predictions import describe_accuracy, tta_logits
from trigger_api.training.emotions.run import Run
from trigger_api.training.emotions.targets import TargetConfig, loss, make_labels
from trigger_api.training.loop import BatchSampler, TrainingConfig, train

TEACHER = inception_resnet.ModelConfig(blocks=(1, 3, 4), stem=(32, 64), widths=(48, 64, 96), inner=64, step=1)
"""It sees a face at twice the resolution of what is served, for five times the work."""
VOTES = 0.2
"""Share of people's votes in the answers. Of shares up to a half it matched most labels of the faces held out; and
without it, a model that follows the labels closely agrees less with people."""
_COUNT = len(LABELS)


@dataclass(frozen=True, slots=True)
class DistillationConfig:
    """How many teachers there are, and how they and the student are trained."""

    teachers: int = 2
    teacher: TrainingConfig = field(
        default_factory=partial(TrainingConfig, batch_size=256, epochs=90, learning_rate=3e-3, weight_decay=0.05)
    )
    student: TrainingConfig = field(
        default_factory=partial(TrainingConfig, batch_size=256, epochs=148, learning_rate=3e-3, weight_decay=0.05)
    )
    targets: TargetConfig = field(default_factory=partial(TargetConfig, distillation_weight=0.8))


class DistillationModel(keras.Model):  # type: ignore[misc]
    """A network in training beside its teachers; every batch is augmented in the graph."""

    def __init__(self, network: keras.Model, teachers: Sequence[keras.Model], config: TargetConfig, steps: int) -> None:
        """It takes ``steps`` batches; the late phase of ``config`` is a share of these."""
        super().__init__(dtype="float32")
        self.network = network
        self.teachers = list(teachers)
        for teacher in self.teachers:
            teacher.trainable = False
        self._config = config
        self._late_from = int(config.late_phase * steps)
        self._seed = random.SeedGenerator(0)
        self._step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)
        self.built = True  # its networks are

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Scores of ``faces (n, 48, 48)``, and their targets, made of ``labels (n, 7 + votes)``."""
        faces, labels = self._augment(inputs["faces"], inputs["labels"])
        scores = self.network({"faces": faces}, training=training)["scores"]
        return {"scores": scores, "targets": self._mix_teacher_probs(faces, labels)}

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        """The loss of the scores against the targets, which are both in ``y_pred``."""
        del x, y
        return loss(y_pred["targets"], y_pred["scores"])

    def _augment(self, faces: Any, labels: Any) -> tuple[Any, Any]:
        # Both are computed: an accelerator hardly notices, and a branch must not draw random numbers.
        early, late = (self._config.make_targets(faces, labels, self._seed, late=late) for late in (False, True))
        is_late = self._step >= self._late_from
        self._step.assign_add(1)
        return ops.where(is_late, late[0], early[0]), ops.where(is_late, late[1], early[1])

    def _mix_teacher_probs(self, faces: Any, labels: Any) -> Any:
        if not self.teachers:
            return labels
        scores = [teacher({"faces": faces}, training=False)["scores"][:, :_COUNT] for teacher in self.teachers]
        teacher_probs = ops.mean(ops.softmax(ops.stack(scores)), axis=0)
        weight = self._config.distillation_weight
        mixed = weight * teacher_probs + (1 - weight) * labels[:, :_COUNT]
        return ops.concatenate([mixed, labels[:, _COUNT:]], axis=1)


class PlainFaceSampler(BatchSampler):
    """Every face once an epoch, as it is: ``DistillationModel`` augments."""

    def __init__(self, split: Split, config: TrainingConfig, target_config: TargetConfig, seed: int) -> None:
        super().__init__(config, len(split.faces), seed=(3, seed))
        self._faces = split.faces
        self._labels = np.concatenate([make_labels(split.labels, target_config), split.votes], axis=1)

    def batch(self, members: Sequence[int], step: int) -> tuple[dict[str, Any]]:
        """Make one batch: ``faces (n, 48, 48)`` and ``labels (n, 7 + votes)``."""
        del step
        rows = list(members)
        return ({"faces": self._faces[rows], "labels": self._labels[rows]},)


def distill(
    run: Run,
    model_config: ModelConfig | None = None,
    *,
    config: DistillationConfig | None = None,
    teacher: ModelConfig = TEACHER,
    start: keras.Model | None = None,
) -> ModelCard:
    """Train teachers, then a student as a model folder; it sees mirror images, too.

    Args:
        run: its ``work`` keeps the teachers, too.
        model_config: of the student.
        config: how long and how to train.
        teacher: of the teachers, which differ by their seeds alone.
        start: exported model from which the student starts.

    Raises:
        OSError: a file cannot be written.
        ValueError: the model to start from has another architecture.
    """
    config, model_config = config or DistillationConfig(), model_config or inception_resnet.ModelConfig()
    known, validation = run.faces()
    run.work.mkdir(parents=True, exist_ok=True)
    trainer = _Trainer(run, known, validation, config.targets)
    student = trainer.build(model_config, config.teachers)
    if start:
        transfer_weights(student, start)
    teachers = [
        trainer.train_or_load(f"teacher-{n}", trainer.build(teacher, n), config.teacher, n)
        for n in range(config.teachers)
    ]
    trainer.train_or_load("student", student, config.student, config.teachers, teachers)
    return export_classifier(student, model_config, validation, run, votes=VOTES)


@dataclass(frozen=True)
class _Trainer:
    """Trains networks one after the other; those that are done are kept."""

    run: Run
    known: Split
    validation: Split
    target_config: TargetConfig

    def build(self, model_config: ModelConfig, seed: int) -> keras.Model:
        """An untrained network."""
        keras.utils.set_random_seed(seed)
        with dtype_policy(self.run.precision):
            return training_model(model_config, votes=self.known.votes.shape[1])

    def train_or_load(
        self, name: str, network: keras.Model, config: TrainingConfig, seed: int, teachers: Sequence[keras.Model] = ()
    ) -> keras.Model:
        """Train a network, unless that is done."""
        trained = self.run.work / f"{name}.weights.h5"
        if trained.exists():
            network.load_weights(trained)
            return network
        sampler = PlainFaceSampler(self.known, config, self.target_config, seed)
        model = DistillationModel(network, teachers, self.target_config, len(sampler))
        train(model, sampler, config, self.run.work / name, log=lambda line: self.run.log(f"{name}, {line}"))
        network.save_weights(trained)
        self.run.log(f"{name}: {describe_accuracy(tta_logits(network, self.validation.faces), self.validation)}")
        return network
