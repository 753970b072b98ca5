"""Objects: which things of everyday life a photo shows, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trigger_api.media.image import ImageLimits, Pixels, decode
from trigger_api.media.letterbox import letterbox
from trigger_api.model_card import ModelCard
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Task

PHOTO, SIZE, LIMITS = "photo", "size", "limits"
BOXES, SCORES, CLASSES = "boxes", "scores", "classes"


@dataclass(frozen=True)
class DetectionOptions:
    """Which boxes count.

    Attributes:
        score: the least, 0..1.
        overlap: intersection over union, 0..1, from which two boxes of a class are one object.
        height, width: the least, as fractions of the photo's.
        most: objects in the answer, those of the highest scores.
    """

    score: float = 0.3
    overlap: float = 0.4
    height: float = 0.03
    width: float = 0.03
    most: int = 20


@dataclass(frozen=True)
class DetectedObject:
    """One object; its edges as fractions of the photo's width and height, from the upper left corner."""

    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class ObjectsResult:
    """What was seen on one photo of ``width`` x ``height`` pixels, highest scores first."""

    objects: tuple[DetectedObject, ...]
    width: int
    height: int
    model: str
    version: str


@dataclass(frozen=True)
class Prepared:
    """A photo as the model takes it, and the size that it had."""

    item: Tensors = field(repr=False)
    width: int
    height: int


class Objects(Task):
    """Finds objects on a photo."""

    name = "objects"

    async def predict(
        self,
        data: bytes,
        options: DetectionOptions | None = None,
        *,
        model: str | None = None,
        version: str | None = None,
    ) -> ObjectsResult:
        """Look at one photo, given as the bytes of a file.

        Args:
            data: the file.
            options: which boxes count.
            model: a model's name; the default one if not given.
            version: a number or a label; see ``Registry.find``.

        Raises:
            ServiceError: the photo cannot be taken, or the engine cannot answer in time.
        """
        options = options or DetectionOptions()
        async with self._acquire(model, version) as (served, deadline):
            card = served.card
            photo = await self._engine.preprocess(_decoded, data, self._context.image, card, options)
            (answer,) = await self._engine.infer(served.queue, [photo.item], deadline)
            size = sum(tensor.nbytes for tensor in answer.values())
            objects = await self._engine.preprocess(read, answer, card.labels, size=size)
            return ObjectsResult(tuple(objects[: options.most]), photo.width, photo.height, card.name, card.version)


def prepare(pixels: Pixels, card: ModelCard, options: DetectionOptions) -> Prepared:
    """A photo ``(height, width, 3)`` as an item for the model."""
    side = next(spec.shape[0] for spec in card.inputs if spec.name == PHOTO)
    canvas, size = letterbox(pixels, side)
    limits = np.array([options.score, options.overlap, options.height, options.width], np.float32)
    item: Tensors = {PHOTO: canvas, SIZE: np.array(size, np.int32), LIMITS: limits}
    return Prepared(item, pixels.shape[1], pixels.shape[0])


def read(answer: Tensors, labels: Sequence[str]) -> list[DetectedObject]:
    """What the model found; where it found nothing more its scores are 0."""
    found = answer[SCORES] > 0
    rows = zip(answer[BOXES][found], answer[SCORES][found], answer[CLASSES][found], strict=True)
    return [DetectedObject(_label(labels, int(kind)), float(score), *_edges(box)) for box, score, kind in rows]


def _label(labels: Sequence[str], kind: int) -> str:
    return labels[kind] if kind < len(labels) else str(kind)


def _edges(box: NDArray[np.float32]) -> list[float]:
    return [float(edge) for edge in box]


def _decoded(data: bytes, limits: ImageLimits, card: ModelCard, options: DetectionOptions) -> Prepared:
    return prepare(decode(data, limits).pixels, card, options)
