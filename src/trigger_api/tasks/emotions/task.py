"""Emotions: every face on a photo, and what it shows.

There are two kinds of models. A classifier reads the crops of faces that MTCNN has found; a detector finds and reads
faces in one pass over the whole photo. The outputs on a model's card say which kind it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.media.boxes import Boxes, Scores, iou, nms
from trigger_api.media.image import Image, Pixels, decode
from trigger_api.media.letterbox import letterbox
from trigger_api.model_card import ModelCard
from trigger_api.registry import Model
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Context, Task, threshold_of
from trigger_api.tasks.faces.crops import grey_crop
from trigger_api.tasks.faces.task import Face, Faces

IMAGE = "image"
PROBABILITIES = "probabilities"
BOXES, SCORES, EMOTIONS = "boxes", "scores", "emotions"

_MAX_OVERLAP = 0.45  # boxes of a detector that overlap more are one face
_MAX_FACES = 100  # in an answer, those with the highest scores
_MAX_CANDIDATES = 4 * _MAX_FACES
_EPSILON = 1e-9


@dataclass(frozen=True)
class FaceEmotion:
    """One face, and the probability of each of the model's labels."""

    face: Face
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class EmotionsResult:
    """The faces on one photo, highest scores first; the photo itself is kept, to be annotated.

    Attributes:
        pixels: ``(height, width, 3)``, upright.
    """

    faces: tuple[FaceEmotion, ...]
    labels: tuple[str, ...]
    model: str
    version: str
    pixels: Pixels = field(repr=False)

    def ranked(self, face: FaceEmotion) -> list[tuple[str, float]]:
        """The emotions of a face and their probabilities, the most likely first."""
        pairs = zip(self.labels, face.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


class Emotions(Task):
    """Finds the faces on a photo and says what each shows."""

    name = "emotions"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._faces = Faces(context)

    async def predict(
        self, data: bytes, *, model: str | None = None, version: str | None = None, threshold: float | None = None
    ) -> EmotionsResult:
        """Read one photo, given as the bytes of a file.

        Args:
            data: the file.
            model: the name of a model; the default one if not given.
            version: a number or a label; see ``Registry.find``.
            threshold: confidence from which something is a face, instead of the card's.

        Raises:
            ServiceError: the photo is rejected, or the engine cannot answer in time.
        """
        async with self._acquire(model, version) as (served, deadline):
            card = served.card
            image: Image = await self._engine.preprocess(decode, data, self._context.image)
            read = self._detect if _is_detector(card) else self._classify
            faces = await read(image.pixels, served, deadline, threshold)
        return EmotionsResult(tuple(faces[:_MAX_FACES]), card.labels, card.name, card.version, image.pixels)

    async def _classify(
        self, pixels: Pixels, served: Model, deadline: float, threshold: float | None
    ) -> list[FaceEmotion]:
        faces = (await self._faces.detect(pixels, deadline, threshold=threshold))[:_MAX_FACES]
        if not faces:
            return []
        items = await self._engine.preprocess(preprocess, pixels, faces, served.card)
        outputs = await self._engine.infer(served.queue, items, deadline)
        return [FaceEmotion(face, _floats(output[PROBABILITIES])) for face, output in zip(faces, outputs, strict=True)]

    async def _detect(
        self, pixels: Pixels, served: Model, deadline: float, threshold: float | None
    ) -> list[FaceEmotion]:
        side = served.card.inputs[0].shape[0]
        canvas, fitted = await self._engine.preprocess(letterbox, pixels, side)
        (output,) = await self._engine.infer(served.queue, [{IMAGE: canvas}], deadline)
        threshold = threshold_of(served.card, threshold)
        return await self._engine.preprocess(postprocess, output, threshold, fitted, pixels.shape[:2])


def preprocess(pixels: Pixels, faces: Sequence[Face], card: ModelCard) -> list[Tensors]:
    """Faces on a photo ``(height, width, 3)`` as items for a classifier."""
    grey = np.asarray(PIL.Image.fromarray(pixels).convert("L"))
    side = card.inputs[0].shape[0]
    return [{IMAGE: grey_crop(grey, face.box, card.crop_margin, side)} for face in faces]


def postprocess(output: Tensors, threshold: float, fitted: tuple[int, int], size: tuple[int, int]) -> list[FaceEmotion]:
    """The faces that a detector found, highest scores first, in the photo's pixels.

    Overlapping boxes see one face from several positions and scales, and err in different ways: the probabilities of
    a face are the mean of theirs, weighted by their scores.

    Args:
        output: ``boxes (k, 4)`` on the canvas, ``scores (k,)`` and ``emotions (k, labels)``.
        threshold: the lowest score of a face.
        fitted: the photo's height and width on the canvas.
        size: the photo's own height and width.
    """
    boxes, scores, emotions = _candidates(output, fitted, size)
    kept = nms(boxes[scores >= threshold], _MAX_OVERLAP)
    votes = scores * (iou(boxes[kept], boxes) > _MAX_OVERLAP)
    means = votes @ emotions / np.maximum(votes.sum(axis=1, keepdims=True), _EPSILON)
    rows = zip(boxes[kept].tolist(), scores[kept].tolist(), means, strict=True)
    return [FaceEmotion(Face(tuple(box), score), _floats(mean)) for box, score, mean in rows]


def _candidates(
    output: Tensors, fitted: tuple[int, int], size: tuple[int, int]
) -> tuple[Boxes, Scores, NDArray[np.float32]]:
    """Boxes in the photo's pixels with their scores and emotions, highest scores first, without empty boxes."""
    scale_x, scale_y = size[1] / fitted[1], size[0] / fitted[0]
    boxes = np.minimum(output[BOXES].clip(0) * np.array([scale_x, scale_y] * 2), [size[1], size[0]] * 2)
    valid = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    order = np.argsort(-output[SCORES], kind="stable")
    order = order[valid[order]][:_MAX_CANDIDATES]
    return boxes[order], output[SCORES][order], output[EMOTIONS][order]


def _is_detector(card: ModelCard) -> bool:
    return BOXES in {spec.name for spec in card.outputs}


def _floats(values: NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(values.clip(0, 1).tolist())
