"""Emotion models without weights, and photos for them."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import skimage.data
from fastapi import FastAPI

from trigger_api.app import create_app
from trigger_api.media.image import Pixels
from trigger_api.model_card import Decision, Limits, ModelCard, TensorSpec, read_card, write_card
from trigger_api.registry import BUNDLED
from trigger_api.runtimes import LoadedModel, LoadOptions, load
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.settings import Settings
from trigger_api.tasks.emotions.task import BOXES, EMOTIONS, IMAGE, PROBABILITIES, SCORES
from trigger_api.tasks.faces.task import PNET

LABELS = ("happy", "sad", "surprised", "neutral", "fear", "disgust", "angry")
SIDE, WHOLE, FOUND = 48, 64, 4
FACE = (176, 57, 272, 187)  # left, top, right, bottom of the astronaut's, drawn by hand


class BrightnessClassifier:
    """A classifier: the brighter a face, the later the label. Records its crops and batch sizes."""

    def __init__(self) -> None:
        self.crops: list[Pixels] = []
        self.batches: list[int] = []

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """A function for batches of this size."""

        def run(tensors: Tensors) -> Tensors:
            images = tensors[IMAGE]
            assert images.shape == (batch, SIDE, SIDE, 1)
            self.crops.extend(images)
            self.batches.append(batch)
            means = images.mean(axis=(1, 2, 3), dtype=np.float32)[:, None] * (len(LABELS) / 256)
            scores = np.exp(-((np.arange(len(LABELS)) + 0.5 - means) ** 2))
            return {PROBABILITIES: (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)}

        return run


class RedDetector:
    """A detector: whatever is red is an angry face, with a score of 0.75; a second box overlaps the first."""

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """A function for batches of this size."""

        def run(tensors: Tensors) -> Tensors:
            assert tensors[IMAGE].shape == (batch, WHOLE, WHOLE, 3)
            boxes, scores = np.zeros((batch, FOUND, 4), np.float32), np.zeros((batch, FOUND), np.float32)
            emotions = np.full((batch, FOUND, len(LABELS)), 0.05, np.float32)
            emotions[:, :, -1] = 0.7
            for i, photo in enumerate(tensors[IMAGE]):
                rows, columns = np.nonzero((photo[..., 0] > 200) & (photo[..., 1] < 60))
                if len(rows):
                    boxes[i, :2] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                    boxes[i, 1] += 1
                    scores[i, :2] = 0.75, 0.7
            return {BOXES: boxes, SCORES: scores, EMOTIONS: emotions}

        return run


def classifier_card(name: str = "inception-resnet", margin: float = 1.0) -> ModelCard:
    """The card of a classifier of cropped faces."""
    return ModelCard(
        task="emotions",
        name=name,
        version="1",
        labels=LABELS,
        inputs=(TensorSpec(name=IMAGE, shape=(SIDE, SIDE, 1), dtype="uint8"),),
        outputs=(TensorSpec(name=PROBABILITIES, shape=(len(LABELS),)),),
        crop_margin=margin,
        limits=Limits(batch_sizes=(1, 2, 4, 8)),
    )


def detector_card() -> ModelCard:
    """The card of a detector for whole photos."""
    return ModelCard(
        task="emotions",
        name="yolo3",
        version="1",
        labels=LABELS,
        inputs=(TensorSpec(name=IMAGE, shape=(WHOLE, WHOLE, 3), dtype="uint8"),),
        outputs=(
            TensorSpec(name=BOXES, shape=(FOUND, 4)),
            TensorSpec(name=SCORES, shape=(FOUND,)),
            TensorSpec(name=EMOTIONS, shape=(FOUND, len(LABELS))),
        ),
        decision=Decision(threshold=0.5),
        limits=Limits(batch_sizes=(1, 2)),
    )


def add_emotions(root: Path, *cards: ModelCard) -> None:
    """Write model folders, without weights."""
    for card in cards:
        folder = root / card.task / card.name / card.version
        folder.mkdir(parents=True)
        write_card(folder, card)


def add_detector(root: Path) -> None:
    """Copy the bundled face detector, with few canvas sizes, since each is warmed up."""
    shutil.copytree(BUNDLED / "faces", root / "faces")
    folder = root / "faces" / PNET / "1"
    write_card(folder, read_card(folder).model_copy(update={"sequence_lengths": (64, 192, 320, 448)}))


MODELS: dict[str, Any] = {
    "inception-resnet": BrightnessClassifier(),
    "mobilenetv2": BrightnessClassifier(),
    "yolo3": RedDetector(),
}
"""One of every kind, by their names."""


def emotions_app(root: Path, models: Mapping[str, LoadedModel]) -> FastAPI:
    """The application with the bundled face detector and three emotion models, given by name."""
    add_detector(root)
    add_emotions(root, classifier_card(), classifier_card("mobilenetv2", margin=1.2), detector_card())

    def loader(path: Path, card: ModelCard) -> LoadedModel:
        return models[card.name] if card.task == "emotions" else load(path, card, LoadOptions())

    return create_app(Settings(models=root, bundled=False, max_image_pixels=2_000_000, jpeg_quality=60), loader=loader)


def encoded(pixels: Pixels, kind: str = "PNG", **options: object) -> bytes:
    """A picture file."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def astronaut() -> Pixels:
    """A photo of 512 x 512 pixels with one face."""
    pixels: Pixels = skimage.data.astronaut()
    return pixels


def crowd(rows: int = 5, columns: int = 8, side: int = 64) -> Pixels:
    """The same face many times."""
    left, top, right, bottom = FACE
    portrait = PIL.Image.fromarray(astronaut()[top - 25 : bottom + 5, left - 32 : right + 32]).resize((side, side))
    return np.tile(np.asarray(portrait), (rows, columns, 1))


def red(width: int = 80, height: int = 40) -> Pixels:
    """A grey picture whose right half is red."""
    picture = PIL.Image.new("RGB", (width, height), (120, 120, 120))
    PIL.ImageDraw.Draw(picture).rectangle((width // 2, 0, width - 1, height - 1), (255, 0, 0))
    return np.asarray(picture)
