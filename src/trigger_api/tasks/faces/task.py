"""Faces: where they are on a photo, with eyes, nose and mouth. Three networks of growing care (MTCNN), each batched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.media.boxes import Boxes, Scores, fast_nms
from trigger_api.media.image import Image, Pixels, decode
from trigger_api.model_card import ModelCard
from trigger_api.registry import Model
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Task
from trigger_api.tasks.faces.boxes import joined, moved, points, proposals, squared, within
from trigger_api.tasks.faces.crops import sampled
from trigger_api.tasks.faces.pyramid import Pyramid, build

PNET, RNET, ONET = "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"
CANVAS, CROPS = "canvas", "crops"
SCORES, OFFSETS, LANDMARKS = "scores", "offsets", "landmarks"

_SAME = 0.7  # overlap from which two boxes are one face
_MOST_REFINED, _MOST_EXAMINED = 1024, 256  # candidates of a photo, those of the highest scores

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """One face, in the photo's pixels.

    Attributes:
        box: its left, top, right and bottom.
        landmarks: left eye, right eye, nose, left and right corner of the mouth, as seen; or none.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] = ()


@dataclass(frozen=True)
class FacesResult:
    """The faces on one photo of ``width`` x ``height`` pixels, surest first."""

    faces: tuple[Face, ...]
    width: int
    height: int


@dataclass(frozen=True)
class _Candidates:
    """Squares that may be faces, and their crops in blocks, as a network takes them."""

    boxes: Boxes
    blocks: list[Tensors] = field(repr=False)


class Faces(Task):
    """Finds the faces on a photo. Three models answer together, so none is chosen by name."""

    name = "faces"

    async def predict(self, data: bytes, *, threshold: float | None = None) -> FacesResult:
        """Find the faces on one photo, given as the bytes of a file.

        Raises:
            ServiceError: the photo cannot be taken, or the engine cannot answer in time.
        """
        async with self._acquire(ONET, None) as (_, deadline):
            image: Image = await self._engine.preprocess(decode, data, self._context.image)
            faces = await self.find(image.pixels, deadline, threshold=threshold)
        return FacesResult(tuple(faces), image.width, image.height)

    async def find(self, pixels: Pixels, deadline: float, *, threshold: float | None = None) -> list[Face]:
        """Find the faces on a photo ``(height, width, 3)``, surest first.

        Args:
            pixels: the photo.
            deadline: of the whole request, in monotonic seconds.
            threshold: confidence from which it is a face, instead of the card's.

        Raises:
            ServiceError: the engine cannot answer in time.
        """
        with self._models() as (proposer, refiner, examiner):
            pyramid, boxes = await self._propose(proposer, pixels, deadline)
            boxes, answer = await self._compute(refiner, pyramid, boxes, deadline)
            boxes = await self._engine.preprocess(refine, boxes, answer, _threshold(refiner.card))
            boxes, answer = await self._compute(examiner, pyramid, boxes, deadline)
            least = _threshold(examiner.card) if threshold is None else threshold
            return await self._engine.preprocess(examine, boxes, answer, least, pyramid, pixels.shape[:2])

    async def _propose(self, model: Model, pixels: Pixels, deadline: float) -> tuple[Pyramid, Boxes]:
        """A photo's pyramid, and squares worth a closer look. The canvases, large as they are, are let go of here."""
        pyramid, canvases = await self._engine.preprocess(build, pixels, sorted(model.queues))
        if not pyramid.levels:
            return pyramid, np.zeros((0, 4))
        items: list[Tensors] = [{CANVAS: half} for half in canvases]
        answers = await self._engine.infer(model.queues[canvases.shape[2]], items, deadline)
        return pyramid, await self._engine.preprocess(propose, pyramid, answers, _threshold(model.card))

    async def _compute(self, model: Model, pyramid: Pyramid, boxes: Boxes, deadline: float) -> tuple[Boxes, Tensors]:
        """What a network says of each box, without the padding of the last block."""
        blocks = await self._engine.preprocess(cut, pyramid.planes, boxes, model.card)
        answers = await self._engine.infer(model.queue, blocks, deadline) if blocks else []
        outputs = {spec.name: spec.shape[1:] for spec in model.card.outputs}
        empty: dict[str, NDArray[Any]] = {name: np.zeros((0, *shape), np.float32) for name, shape in outputs.items()}
        joint = {name: np.concatenate([empty[name], *(answer[name] for answer in answers)]) for name in empty}
        return boxes, {name: tensor[: len(boxes)] for name, tensor in joint.items()}

    @contextmanager
    def _models(self) -> Iterator[tuple[Model, Model, Model]]:
        with ExitStack() as stack:
            first, second, third = (
                stack.enter_context(self._registry.acquire(self.name, name)) for name in (PNET, RNET, ONET)
            )
            yield first, second, third


def propose(pyramid: Pyramid, answers: Sequence[Tensors], threshold: float) -> Boxes:
    """Squares worth a closer look, from P-Net's answers for both canvases."""
    scores, offsets = (np.stack([answer[name] for answer in answers]) for name in (SCORES, OFFSETS))
    parts = [
        proposals(level.answers(scores), level.answers(offsets), level.scale, threshold) for level in pyramid.levels
    ]
    boxes, _ = joined(parts)
    boxes = boxes[:_MOST_REFINED]
    return squared(boxes[fast_nms(boxes, _SAME)])


def refine(boxes: Boxes, answer: Tensors, threshold: float) -> Boxes:
    """Squares that may well be faces, from R-Net's answer for each."""
    boxes, _, _ = _chosen(moved(boxes, answer[OFFSETS]), answer[SCORES], threshold)
    boxes = boxes[:_MOST_EXAMINED]
    return squared(boxes[fast_nms(boxes, _SAME)])


def examine(boxes: Boxes, answer: Tensors, threshold: float, pyramid: Pyramid, size: tuple[int, int]) -> list[Face]:
    """The faces, from O-Net's answer for each square, in pixels of the photo as it came: ``size``, height and width."""
    marks = points(boxes, answer[LANDMARKS])
    boxes, scores, order = _chosen(moved(boxes, answer[OFFSETS]), answer[SCORES], threshold)
    kept = fast_nms(boxes, _SAME, least=True)
    boxes = within(boxes[kept] / pyramid.ratio, *size)
    faces = zip(boxes.tolist(), scores[kept].tolist(), (marks[order][kept] / pyramid.ratio).tolist(), strict=True)
    return [Face(tuple(box), score, tuple((x, y) for x, y in marks)) for box, score, marks in faces]


def cut(planes: NDArray[np.float32], boxes: Boxes, card: ModelCard) -> list[Tensors]:
    """The boxes' crops in blocks as the network takes them; the last one is filled up with zeros."""
    (spec,) = card.inputs
    many, _, side, _ = spec.shape
    blocks = -(-len(boxes) // many)
    crops = np.zeros((blocks * many, *spec.shape[1:]), np.float32)
    crops[: len(boxes)] = sampled(planes, boxes, side)
    return [{CROPS: block} for block in crops.reshape(blocks, *spec.shape)]


def _chosen(boxes: Boxes, scores: Scores, threshold: float) -> tuple[Boxes, Scores, NDArray[np.intp]]:
    """What scores above the threshold, highest first, and where it was."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold]
    return boxes[order], scores[order], order


def _threshold(card: ModelCard) -> float:
    return card.decision.threshold if card.decision else 0.5
