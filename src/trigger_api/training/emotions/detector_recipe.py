"""The recipe for the network that finds faces and classifies their emotions, trained on composed scenes.

Some of the training faces and of the photos are held out for choices. A run that was stopped resumes from what it kept
in ``work``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
import tensorflow as tf
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import part
from trigger_api.datasets.fer2013 import SIDE, Faces, Split
from trigger_api.evaluation.emotions.calibration import temperature
from trigger_api.evaluation.emotions.detection_agreement import Boxes, agreement, find_all
from trigger_api.evaluation.emotions.scores import predict_probabilities
from trigger_api.model_card import ModelCard
from trigger_api.runtimes.keras_loader import load
from trigger_api.training.compressed_save import save_model_folder
from trigger_api.training.dtype_policy import dtype_policy
from trigger_api.training.emotions import yolo
from trigger_api.training.emotions.card import detector_card
from trigger_api.training.emotions.compositing import Dataset, Photo, SceneSampler
from trigger_api.training.emotions.detector_loss import detector_loss
from trigger_api.training.emotions.photos import detect_faces
from trigger_api.training.emotions.run import Run
from trigger_api.training.emotions.targets import TargetConfig, make_labels
from trigger_api.training.emotions.teacher import Teacher, load_teachers
from trigger_api.training.loop import Log, TrainingConfig, train

CONFIG = TrainingConfig(batch_size=8, epochs=12, learning_rate=1.5e-3, weight_decay=0.03, ema=0.998)
CANVAS, MOST = 512, 128
_SCENE = 256  # pixels of a side
_TARGETS = TargetConfig(label_smoothing=0.05, distillation_weight=0.5)
_MEASURED = 240  # validation faces after each epoch
_THRESHOLDS = np.arange(0.1, 0.99, 0.02)
_MAX_FALSE_POSITIVES = 0.05  # a photo


def train_detector(
    run: Run,
    photos: Sequence[Path],
    *,
    teachers: Sequence[Path],
    start: Path | None = None,
    model_config: yolo.ModelConfig | None = None,
    config: TrainingConfig = CONFIG,
) -> ModelCard:
    """Train a model folder, from another one to ``start`` from if given.

    MTCNN says where faces are on the ``photos`` of some folders, and ``run.work`` keeps its answers. ``teachers`` are
    model folders of classifiers, whose predictions are mixed into the labels.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: every photo shows faces, or none can be read.
    """
    run.work.mkdir(parents=True, exist_ok=True)
    model_config = model_config or yolo.ModelConfig()
    known, validation = run.faces()
    scanned = detect_faces(photos, run.work / "faces.npz", run.log)
    dataset = _dataset(known, scanned, load_teachers(teachers))
    run.log(f"{len(dataset.with_faces)} photos with faces and {len(dataset.without_faces)} without")
    with dtype_policy(run.precision):
        model = yolo.training_model(model_config)
    if start:
        yolo.transfer_weights(model, load(start))
    predictor = _Predictor(model, model_config)
    train(
        model,
        SceneSampler(dataset, config, _SCENE),
        config,
        run.work,
        loss=partial(detector_loss, side=_SCENE),
        log=run.log,
        metrics=lambda: predictor.metrics(validation),
    )
    fitted = predictor.temperature(validation)
    held_back = {name: photo for name, photo in scanned.items() if part(name) == "validation"}
    threshold = predictor.threshold(held_back, run.log)
    card = detector_card(run.output, fitted, side=CANVAS, most=MOST, threshold=threshold)
    final = yolo.export_model(model, model_config, side=CANVAS, most=MOST, temperature=fitted)
    return save_model_folder(final, run.output, card)


class _Predictor:
    """Predicts with the model to serve, and the weights that the model in training has at the time."""

    def __init__(self, model: keras.Model, model_config: yolo.ModelConfig) -> None:
        self._model = model
        self._served = yolo.inference_model(model_config, CANVAS, MOST)
        self._run = tf.function(lambda image: self._served({"image": image}), autograph=False)
        self._card = detector_card(Path("detector/1"), 1.0, side=CANVAS, most=MOST)

    def __call__(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {name: x.numpy() for name, x in self._run(tf.constant(tensors["image"])).items()}

    def metrics(self, validation: Split) -> str:
        some = validation[np.arange(min(_MEASURED, len(validation.labels)))]
        answers, found = self._probabilities(some)
        right = (answers.argmax(axis=1) == some.labels) & found
        return f"held out: {found.mean():.2%} of {len(some.labels)} faces found, {right.mean():.2%} right"

    def temperature(self, validation: Split) -> float:
        answers, found = self._probabilities(validation)
        return temperature(np.log(answers[found].clip(1e-9))[None], validation.labels[found])

    def _probabilities(self, split: Split) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Of the emotions of each face, ``(n, 7)``, and whether it is found at all."""
        yolo.sync_weights(self._served, self._model)
        answers = predict_probabilities(split.faces, self._card, self)
        return np.asarray(answers, np.float32), np.asarray(answers.any(axis=1))

    def threshold(self, photos: Mapping[str, tuple[NDArray[np.uint8], Boxes]], log: Log) -> float:
        """The lowest score above which there are few enough boxes besides MTCNN's.

        They are counted by the photo: everyday photos hardly show enough faces for a share of these.
        """
        detections = find_all([np.stack([x] * 3, axis=-1) for x, _ in photos.values()], self._card, self)
        wanted = [boxes for _, boxes in photos.values()]
        tried = {float(score): agreement(wanted, detections, score) for score in _THRESHOLDS}
        too_low = [score for score, each in tried.items() if each.extra > _MAX_FALSE_POSITIVES * each.photos]
        best = min((score for score in tried if score > max(too_low, default=0)), default=max(tried))
        log(f"threshold {best:.2f}: {tried[best].figures()}")
        return round(best, 2)


def _dataset(known: Split, scanned: Mapping[str, tuple[NDArray[np.uint8], Boxes]], teacher: Teacher) -> Dataset:
    emotions = make_labels(known.labels, _TARGETS, teacher(known.faces))
    photos = [
        Photo(pixels, boxes, teacher(_crop_faces(pixels, boxes)))
        for name, (pixels, boxes) in scanned.items()
        if part(name) != "validation"
    ]
    without_faces = [photo for photo in photos if not len(photo.boxes)]
    if not without_faces:
        raise ValueError("every photo shows faces: some without are needed")
    return Dataset(known.faces, emotions, [photo for photo in photos if len(photo.boxes)], without_faces)


def _crop_faces(pixels: NDArray[np.uint8], boxes: Boxes) -> Faces:
    """The faces of a photo as a classifier sees them: squares around the boxes."""
    photo = PIL.Image.fromarray(pixels)
    crops = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    for number, (left, top, right, bottom, _) in enumerate(boxes.tolist()):
        half, x, y = max(right - left, bottom - top) / 2, (left + right) / 2, (top + bottom) / 2
        square = photo.crop((round(x - half), round(y - half), round(x + half), round(y + half)))
        crops[number] = np.asarray(square.resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR))
    return crops
