"""Objects: which everyday objects a photo shows, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

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
        score_threshold: the lowest score, 0..1.
        iou_threshold: intersection over union, 0..1, above which two boxes of one class are the same object.
        min_height, min_width: as fractions of the photo's.
        max_results: objects in the answer, those with the highest scores.
    """

    score_threshold: float = 0.3
    iou_threshold: float = 0.4
    min_height: float = 0.03
    min_width: float = 0.03
    max_results: int = 20


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
    """The objects on one photo of ``width`` x ``height`` pixels, highest scores first."""

    objects: tuple[DetectedObject, ...]
    width: int
    height: int
    model: str
    version: str


@dataclass(frozen=True)
class Preprocessed:
    """A photo as the model takes it, and its original size."""

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
        """Find the objects on one photo, given as the bytes of a file.

        Args:
            data: the file.
            options: which boxes count.
            model: the name of a model; the default one if not given.
            version: a number or a label; see ``Registry.find``.

        Raises:
            ServiceError: the photo is rejected, or the engine cannot answer in time.
        """
        options = options or DetectionOptions()
        async with self._acquire(model, version) as (served, deadline):
            card = served.card
            photo = await self._engine.preprocess(_decode, data, self._context.image, card, options)
            (output,) = await self._engine.infer(served.queue, [photo.item], deadline)
            size = sum(tensor.nbytes for tensor in output.values())
            objects = await self._engine.preprocess(postprocess, output, card.labels, size=size)
            objects = objects[: options.max_results]
            return ObjectsResult(tuple(objects), photo.width, photo.height, card.name, card.version)


def preprocess(pixels: Pixels, card: ModelCard, options: DetectionOptions) -> Preprocessed:
    """A photo ``(height, width, 3)`` as an item for the model."""
    side = next(spec.shape[0] for spec in card.inputs if spec.name == PHOTO)
    canvas, size = letterbox(pixels, side)
    limits = [options.score_threshold, options.iou_threshold, options.min_height, options.min_width]
    item: Tensors = {PHOTO: canvas, SIZE: np.array(size, np.int32), LIMITS: np.array(limits, np.float32)}
    return Preprocessed(item, pixels.shape[1], pixels.shape[0])


def postprocess(output: Tensors, labels: Sequence[str]) -> list[DetectedObject]:
    """The objects in a model's output of fixed size, whose unused rows have a score of 0."""
    used = output[SCORES] > 0
    rows = zip(output[BOXES][used].tolist(), output[SCORES][used].tolist(), output[CLASSES][used], strict=True)
    return [DetectedObject(_label(labels, int(number)), score, *box) for box, score, number in rows]


def _decode(data: bytes, limits: ImageLimits, card: ModelCard, options: DetectionOptions) -> Preprocessed:
    return preprocess(decode(data, limits).pixels, card, options)


def _label(labels: Sequence[str], number: int) -> str:
    return labels[number] if number < len(labels) else str(number)
