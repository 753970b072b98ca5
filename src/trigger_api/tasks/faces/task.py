"""Faces: where they are on a photo, with eyes, nose and mouth. A cascade of three networks (MTCNN), each batched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.media.boxes import Box, Boxes, Scores, fast_nms
from trigger_api.media.image import Image, Pixels, decode
from trigger_api.model_card import ModelCard
from trigger_api.registry import Model
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Task, threshold_of
from trigger_api.tasks.faces.boxes import (
    clip_boxes,
    join_levels,
    place_landmarks,
    proposals,
    regress_boxes,
    square_boxes,
)
from trigger_api.tasks.faces.crops import crop_and_resize
from trigger_api.tasks.faces.pyramid import Pyramid, build_pyramid

PNET, RNET, ONET = "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"
CANVAS, CROPS = "canvas", "crops"
SCORES, OFFSETS, LANDMARKS = "scores", "offsets", "landmarks"

_MAX_OVERLAP = 0.7  # boxes that overlap more are one face
_MAX_RNET, _MAX_ONET = 1024, 256  # candidates for each network, those with the highest scores

Point = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """One face, in the photo's pixels.

    Attributes:
        box: left, top, right and bottom.
        score: confidence that it is a face, 0..1.
        landmarks: left eye, right eye, nose, left and right corner of the mouth, as seen on the photo; or none.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] = ()


@dataclass(frozen=True)
class FacesResult:
    """The faces on one photo of ``width`` x ``height`` pixels, highest scores first."""

    faces: tuple[Face, ...]
    width: int
    height: int


class Faces(Task):
    """Finds the faces on a photo. Its three models work together, so none is chosen by name."""

    name = "faces"

    async def predict(self, data: bytes, *, threshold: float | None = None) -> FacesResult:
        """Find the faces on one photo, given as the bytes of a file.

        Args:
            data: the file.
            threshold: confidence from which something is a face, instead of the card's.

        Raises:
            ServiceError: the photo is rejected, or the engine cannot answer in time.
        """
        async with self._acquire(ONET, None) as (_, deadline):
            image: Image = await self._engine.preprocess(decode, data, self._context.image)
            faces = await self.detect(image.pixels, deadline, threshold=threshold)
        return FacesResult(tuple(faces), image.width, image.height)

    async def detect(self, pixels: Pixels, deadline: float, *, threshold: float | None = None) -> list[Face]:
        """Find the faces on a decoded photo ``(height, width, 3)``, highest scores first.

        Args:
            pixels: the photo.
            deadline: of the whole request, in monotonic seconds.
            threshold: confidence from which something is a face, instead of the card's.

        Raises:
            ServiceError: the engine cannot answer in time.
        """
        with self._models() as (pnet, rnet, onet):
            pyramid, boxes = await self._propose(pnet, pixels, deadline)
            output = await self._compute(rnet, pyramid, boxes, deadline)
            boxes = await self._engine.preprocess(refine, boxes, output, threshold_of(rnet.card))
            output = await self._compute(onet, pyramid, boxes, deadline)
            threshold = threshold_of(onet.card, threshold)
            return await self._engine.preprocess(locate, boxes, output, threshold, pyramid, pixels.shape[:2])

    async def _propose(self, pnet: Model, pixels: Pixels, deadline: float) -> tuple[Pyramid, Boxes]:
        """A photo's pyramid, and candidates for R-Net. The large canvases are released on return."""
        pyramid, canvases = await self._engine.preprocess(build_pyramid, pixels, sorted(pnet.queues))
        if not pyramid.levels:
            return pyramid, np.zeros((0, 4))
        items: list[Tensors] = [{CANVAS: canvas} for canvas in canvases]
        outputs = await self._engine.infer(pnet.queues[canvases.shape[2]], items, deadline)
        return pyramid, await self._engine.preprocess(propose, pyramid, outputs, threshold_of(pnet.card))

    async def _compute(self, model: Model, pyramid: Pyramid, boxes: Boxes, deadline: float) -> Tensors:
        """A network's outputs for each box, without the padding of the last block."""
        blocks = await self._engine.preprocess(crop_blocks, pyramid.planes, boxes, model.card)
        outputs = await self._engine.infer(model.queue, blocks, deadline) if blocks else []
        return {spec.name: _concatenate(outputs, spec.name, spec.shape[1:], len(boxes)) for spec in model.card.outputs}

    @contextmanager
    def _models(self) -> Iterator[tuple[Model, Model, Model]]:
        with ExitStack() as stack:
            pnet, rnet, onet = (
                stack.enter_context(self._registry.acquire(self.name, name)) for name in (PNET, RNET, ONET)
            )
            yield pnet, rnet, onet


def propose(pyramid: Pyramid, outputs: Sequence[Tensors], threshold: float) -> Boxes:
    """Candidates for R-Net, from P-Net's outputs for both canvases."""
    scores, offsets = (np.stack([output[name] for output in outputs]) for name in (SCORES, OFFSETS))
    boxes, _ = join_levels(
        [
            proposals(level.slice_outputs(scores), level.slice_outputs(offsets), level.scale, threshold)
            for level in pyramid.levels
        ]
    )
    boxes = boxes[:_MAX_RNET]
    return square_boxes(boxes[fast_nms(boxes, _MAX_OVERLAP)])


def refine(boxes: Boxes, output: Tensors, threshold: float) -> Boxes:
    """Candidates for O-Net, from R-Net's output for each box."""
    boxes, _, _ = _above_threshold(regress_boxes(boxes, output[OFFSETS]), output[SCORES], threshold)
    boxes = boxes[:_MAX_ONET]
    return square_boxes(boxes[fast_nms(boxes, _MAX_OVERLAP)])


def locate(boxes: Boxes, output: Tensors, threshold: float, pyramid: Pyramid, size: tuple[int, int]) -> list[Face]:
    """The faces, from O-Net's output for each box, in pixels of the original photo: ``size``, height and width."""
    landmarks = place_landmarks(boxes, output[LANDMARKS])
    boxes, scores, order = _above_threshold(regress_boxes(boxes, output[OFFSETS]), output[SCORES], threshold)
    kept = fast_nms(boxes, _MAX_OVERLAP, over_smaller=True)
    boxes = clip_boxes(boxes[kept] / pyramid.scale, *size)
    landmarks = landmarks[order][kept] / pyramid.scale
    faces = zip(boxes.tolist(), scores[kept].tolist(), landmarks.tolist(), strict=True)
    return [Face(tuple(box), score, tuple((x, y) for x, y in points)) for box, score, points in faces]


def crop_blocks(planes: NDArray[np.float32], boxes: Boxes, card: ModelCard) -> list[Tensors]:
    """The boxes' crops in blocks of the size that a network takes; the last one is padded with zeros."""
    (spec,) = card.inputs
    size, _, side, _ = spec.shape
    blocks = -(-len(boxes) // size)
    crops = np.zeros((blocks * size, *spec.shape[1:]), np.float32)
    crops[: len(boxes)] = crop_and_resize(planes, boxes, side)
    return [{CROPS: block} for block in crops.reshape(blocks, *spec.shape)]


def _concatenate(outputs: Sequence[Tensors], name: str, shape: tuple[int, ...], count: int) -> NDArray[Any]:
    empty = np.zeros((0, *shape), np.float32)
    return np.concatenate([empty, *(output[name] for output in outputs)])[:count]


def _above_threshold(boxes: Boxes, scores: Scores, threshold: float) -> tuple[Boxes, Scores, NDArray[np.intp]]:
    """The boxes that score above the threshold, highest first, and the index that each had."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold]
    return boxes[order], scores[order], order
