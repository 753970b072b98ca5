"""Emotions: every face on a photo, and what it shows.

Two kinds of models are served. One reads faces that MTCNN found, cut out; the other finds and reads them in one pass
over the whole photo. Which kind it is, its card says by its outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.media.boxes import iou, nms
from trigger_api.media.image import Image, Pixels, decode
from trigger_api.media.letterbox import letterbox
from trigger_api.model_card import ModelCard
from trigger_api.registry import Model
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Context, Task
from trigger_api.tasks.faces.crops import face as cut
from trigger_api.tasks.faces.task import Face, Faces

IMAGE = "image"
PROBABILITIES = "probabilities"
BOXES, SCORES, EMOTIONS = "boxes", "scores", "emotions"

_SAME = 0.45  # overlap from which two boxes of a whole-photo model are one face
_MOST = 100  # faces in an answer, those of the highest scores
_CANDIDATES = 4 * _MOST
_TINY = 1e-9


@dataclass(frozen=True)
class FaceEmotion:
    """One face, and how likely each of the model's labels is."""

    face: Face
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class EmotionsResult:
    """The faces on one photo, surest first; the photo itself is kept, to be drawn on.

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
        """Look at one photo, given as the bytes of a file.

        Args:
            data: the file.
            model: a model's name; the default one if not given.
            version: a number or a label; see ``Registry.find``.
            threshold: confidence from which something is a face, instead of the detector's own.

        Raises:
            ServiceError: the photo cannot be taken, or the engine cannot answer in time.
        """
        async with self._acquire(model, version) as (served, deadline):
            card = served.card
            image: Image = await self._engine.preprocess(decode, data, self._context.image)
            detect = self._detect if _sees_photos(card) else self._find_and_classify
            found = await detect(image.pixels, served, deadline, threshold)
        return EmotionsResult(tuple(found[:_MOST]), card.labels, card.name, card.version, image.pixels)

    async def _find_and_classify(
        self, pixels: Pixels, served: Model, deadline: float, threshold: float | None
    ) -> list[FaceEmotion]:
        faces = (await self._faces.find(pixels, deadline, threshold=threshold))[:_MOST]
        if not faces:
            return []
        items = await self._engine.preprocess(prepare, pixels, faces, served.card)
        answers = await self._engine.infer(served.queue, items, deadline)
        return [FaceEmotion(face, _floats(answer[PROBABILITIES])) for face, answer in zip(faces, answers, strict=True)]

    async def _detect(
        self, pixels: Pixels, served: Model, deadline: float, threshold: float | None
    ) -> list[FaceEmotion]:
        side = served.card.inputs[0].shape[0]
        canvas, size = await self._engine.preprocess(letterbox, pixels, side)
        (answer,) = await self._engine.infer(served.queue, [{IMAGE: canvas}], deadline)
        least = _threshold(served.card) if threshold is None else threshold
        return await self._engine.preprocess(read, answer, least, size, pixels.shape[:2])


def prepare(pixels: Pixels, faces: Sequence[Face], card: ModelCard) -> list[Tensors]:
    """Faces on a photo ``(height, width, 3)`` as items for a model that reads them one by one."""
    grey = np.asarray(PIL.Image.fromarray(pixels).convert("L"))
    side = card.inputs[0].shape[0]
    return [{IMAGE: cut(grey, face.box, card.crop_margin, side)} for face in faces]


def read(answer: Tensors, threshold: float, laid: tuple[int, int], size: tuple[int, int]) -> list[FaceEmotion]:
    """The faces that a whole-photo model found, surest first, in the photo's pixels.

    Its boxes see one face from several places and scales, and are mistaken about different things: what the face shows
    is the mean of what they say, each as much as it is sure of a face.

    Args:
        answer: ``boxes (k, 4)`` on its canvas, ``scores (k,)`` and ``emotions (k, labels)``.
        threshold: the least score.
        laid: the photo's height and width on the canvas.
        size: the photo's own.
    """
    across, down = size[1] / laid[1], size[0] / laid[0]
    boxes = np.minimum(answer[BOXES].clip(0) * np.array([across, down] * 2), [size[1], size[0]] * 2)
    real = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    order = np.argsort(-answer[SCORES], kind="stable")
    order = order[real[order]][:_CANDIDATES]
    boxes, scores, emotions = boxes[order], answer[SCORES][order], answer[EMOTIONS][order]
    kept = nms(boxes[scores >= threshold], _SAME)
    votes = scores * (iou(boxes[kept], boxes) > _SAME)
    means = votes @ emotions / np.maximum(votes.sum(axis=1, keepdims=True), _TINY)
    rows = zip(boxes[kept].tolist(), scores[kept].tolist(), means, strict=True)
    return [FaceEmotion(Face(tuple(box), score), _floats(mean)) for box, score, mean in rows]


def _sees_photos(card: ModelCard) -> bool:
    return BOXES in {spec.name for spec in card.outputs}


def _threshold(card: ModelCard) -> float:
    return card.decision.threshold if card.decision else 0.5


def _floats(values: NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(values.clip(0, 1).tolist())
