"""The recipe for the two networks that classify one face: trained on FER2013's labels and on people's votes.

Some of the training faces are held out for choices and for the temperature; test sets are read only to leave their
faces out. A run that was stopped resumes from what it kept in ``work``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import tensorflow as tf

from trigger_api.datasets.fer2013 import SIDE, read_sheet, read_split
from trigger_api.model_card import ModelCard
from trigger_api.runtimes.keras_loader import load
from trigger_api.training.dtype_policy import dtype_policy
from trigger_api.training.emotions import detector_recipe, inception_resnet, mobilenet
from trigger_api.training.emotions.dataset import clean
from trigger_api.training.emotions.distillation import DistillationConfig, distill
from trigger_api.training.emotions.export import export_classifier
from trigger_api.training.emotions.network import ModelConfig, training_model, transfer_weights
from trigger_api.training.emotions.predictions import describe_accuracy, tta_logits
from trigger_api.training.emotions.run import Run
from trigger_api.training.emotions.sampler import FaceSampler
from trigger_api.training.emotions.targets import TargetConfig, loss
from trigger_api.training.emotions.teacher import load_teachers
from trigger_api.training.loop import Log, TrainingConfig, train

CONFIGS = {
    "inception-resnet": TrainingConfig(batch_size=64, epochs=30, learning_rate=2.5e-3, weight_decay=0.05, ema=0.999),
    "mobilenetv2": TrainingConfig(batch_size=64, epochs=18, learning_rate=1e-3, weight_decay=0.05),
}
FINE_TUNE = TrainingConfig(batch_size=64, epochs=9, learning_rate=1.2e-3, weight_decay=0.05)
TARGET_CONFIGS = {"inception-resnet": TargetConfig(late_phase=0.8), "mobilenetv2": TargetConfig(late_phase=0.0)}
FINE_TUNE_TARGETS = TargetConfig(late_phase=0.0, sides=((1.0, SIDE),))
"""Mild augmentation from the beginning, on faces of full size."""
_NORMALISATION_BATCHES = 80  # more than the moving averages remember


def train_emotions(
    *,
    model: str,
    sheet: Path,
    labels: Path,
    split: str,
    tests: Sequence[Path],
    output: Path,
    work: Path,
    published: Path | None = None,
    teachers: Sequence[Path] = (),
    photos: Sequence[Path] = (),
    start: Path | None = None,
    fine_tune: bool = True,
    epochs: int | None = None,
    learning_rate: float | None = None,
    with_distillation: bool = False,
    log: Log = lambda _: None,
) -> ModelCard:
    """Train ``inception-resnet``, ``mobilenetv2`` or ``yolo3``; see ``train_classifier`` and ``train_detector``.

    Args:
        model: which of them.
        sheet: the faces; see ``read_split``.
        labels: their labels.
        split: the labels' split.
        tests: sheets whose faces are left out.
        output: the model folder, ending in ``<name>/<version>``.
        work: keeps what a stopped run resumes from.
        published: ImageNet weights, for ``mobilenetv2``.
        teachers: model folders of classifiers; ``yolo3`` needs one.
        photos: folders of photos, for ``yolo3``.
        start: model folder of the same network to start from.
        fine_tune: whether ``start`` is fine-tuned, and not trained with the schedule of an untrained network.
        epochs: None for the recipe's.
        learning_rate: at its peak; None for the recipe's.
        with_distillation: whether ``inception-resnet`` first gets larger teachers of its own; see ``distill``.
        log: is given a line of progress at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: a file has another format, or something that the network needs is not given.
    """
    if model == "yolo3" and not (teachers and photos):
        raise ValueError("yolo3 is trained on photos and from a teacher: give both")
    if model == "mobilenetv2" and not published:
        raise ValueError("mobilenetv2 starts from published weights: give them")
    if with_distillation and (model != "inception-resnet" or teachers):
        raise ValueError("distillation is for inception-resnet, and trains its own teachers")
    run = Run(clean(read_split(sheet, labels, split), map(read_sheet, tests)), output, work, log=log)

    def chosen(config: TrainingConfig) -> TrainingConfig:
        return replace(config, epochs=epochs or config.epochs, learning_rate=learning_rate or config.learning_rate)

    if model == "yolo3":
        config = chosen(detector_recipe.CONFIG)
        return detector_recipe.train_detector(run, photos, teachers=teachers, start=start, config=config)
    if with_distillation:
        distillation = DistillationConfig()
        distillation = replace(distillation, student=chosen(distillation.student))
        return distill(run, config=distillation, start=load(start) if start else None)
    tuned = start is not None and fine_tune
    return train_classifier(
        run,
        mobilenet.ModelConfig(weights=published) if model == "mobilenetv2" else inception_resnet.ModelConfig(),
        chosen(FINE_TUNE if tuned else CONFIGS[model]),
        FINE_TUNE_TARGETS if tuned else TARGET_CONFIGS[model],
        start=start,
        teachers=teachers,
    )


def train_classifier(
    run: Run,
    model_config: ModelConfig,
    config: TrainingConfig,
    target_config: TargetConfig,
    *,
    start: Path | None = None,
    teachers: Sequence[Path] = (),
) -> ModelCard:
    """Train a model folder, from another one to ``start`` from if given.

    ``teachers`` are model folders of classifiers whose predictions are mixed into the labels.

    Raises:
        OSError: a file is missing or cannot be written.
    """
    known, validation = run.faces()
    model = _build(model_config, known.votes.shape[1], start, run.precision)
    teacher_probs = load_teachers(teachers)(known.faces) if teachers else None
    sampler = FaceSampler(known, config, target_config, teacher_probs)

    def metrics() -> str:
        return describe_accuracy(tta_logits(model, validation.faces), validation)

    train(model, sampler, config, run.work, loss=loss, log=run.log, metrics=metrics)
    if config.ema:
        _update_normalisation(model, sampler)
    return export_classifier(model, model_config, validation, run)


def _build(model_config: ModelConfig, votes: int, start: Path | None, precision: str) -> keras.Model:
    with dtype_policy(precision):
        model = training_model(model_config, votes=votes)
    if start:
        transfer_weights(model, load(start))
    elif isinstance(model_config, mobilenet.ModelConfig) and model_config.weights:
        mobilenet.load_pretrained(model, model_config)
    return model


def _update_normalisation(model: keras.Model, sampler: FaceSampler) -> None:
    """Recompute batch normalisation's moving averages for the averaged weights: they are those of the last weights."""
    run = tf.function(lambda faces: model({"faces": faces}, training=True), autograph=False)
    for back in range(1, 1 + min(_NORMALISATION_BATCHES, len(sampler))):
        run(sampler[len(sampler) - back][0]["faces"])
