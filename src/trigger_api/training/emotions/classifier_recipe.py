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

from trigger_api.datasets.fer2013 import SIDE, Split, read_sheet, read_split
from trigger_api.model_card import ModelCard
from trigger_api.runtimes.keras_loader import load
from trigger_api.training.dtype_policy import dtype_policy
from trigger_api.training.emotions import detector_recipe, inception_resnet, mobilenet
from trigger_api.training.emotions.dataset import clean, hold_out
from trigger_api.training.emotions.distillation import DistillationConfig, distill
from trigger_api.training.emotions.export import export_classifier
from trigger_api.training.emotions.network import ModelConfig, training_model, transfer_weights
from trigger_api.training.emotions.predictions import describe_accuracy, tta_logits
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
_HELD_OUT = 1_000
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
    known = clean(read_split(sheet, labels, split), map(read_sheet, tests))

    def chosen(config: TrainingConfig) -> TrainingConfig:
        return replace(config, epochs=epochs or config.epochs, learning_rate=learning_rate or config.learning_rate)

    if model == "yolo3":
        config = chosen(detector_recipe.CONFIG)
        return detector_recipe.train_detector(
            known, photos, output, work, teachers=teachers, start=start, config=config, log=log
        )
    if with_distillation:
        distillation = DistillationConfig()
        distillation = replace(distillation, student=chosen(distillation.student))
        first = load(start) if start else None
        large = inception_resnet.ModelConfig()
        return distill(known, output, work, model_config=large, config=distillation, start=first, log=log)
    tuned = start is not None and fine_tune
    return train_classifier(
        known,
        output,
        work,
        model_config=mobilenet.ModelConfig(weights=published)
        if model == "mobilenetv2"
        else inception_resnet.ModelConfig(),
        config=chosen(FINE_TUNE if tuned else CONFIGS[model]),
        start=start,
        teachers=teachers,
        target_config=FINE_TUNE_TARGETS if tuned else TARGET_CONFIGS[model],
        mirrored=True,
        log=log,
    )


def train_classifier(
    split: Split,
    output: Path,
    work: Path,
    *,
    model_config: ModelConfig,
    config: TrainingConfig,
    start: Path | None = None,
    teachers: Sequence[Path] = (),
    target_config: TargetConfig | None = None,
    held_out: int = _HELD_OUT,
    mirrored: bool = False,
    precision: str = "mixed_bfloat16",
    log: Log = lambda _: None,
) -> ModelCard:
    """Train a model folder.

    Args:
        split: clean faces, of which ``held_out`` are only measured on.
        output: the model folder, ending in ``<name>/<version>``.
        work: keeps what a stopped run resumes from.
        model_config: of the network.
        config: how long and how fast to train.
        start: model folder to start from.
        teachers: model folders of classifiers whose predictions are mixed into the labels.
        target_config: augmentation and labels.
        held_out: how many faces.
        mirrored: whether the served model sees each face's mirror image, too.
        precision: Keras's dtype policy while training.
        log: is given a line of progress at a time.

    Raises:
        OSError: a file is missing or cannot be written.
    """
    known, validation = hold_out(split, held_out)
    log(f"{len(known.labels)} faces to train on, {len(validation.labels)} held out")
    model = _build(model_config, split.votes.shape[1], start, precision)
    teacher_probs = load_teachers(teachers)(known.faces) if teachers else None
    sampler = FaceSampler(known, config, target_config or TargetConfig(), teacher_probs)

    def metrics() -> str:
        return describe_accuracy(tta_logits(model, validation.faces), validation)

    train(model, sampler, config, work, loss=loss, log=log, metrics=metrics)
    if config.ema:
        _update_normalisation(model, sampler)
    return export_classifier(model, model_config, validation, output, mirrored=mirrored, log=log)


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
