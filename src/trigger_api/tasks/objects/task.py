"""Objects: which things of everyday life a photo shows, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trigger_api.inference import Engine
from trigger_api.media.image import ImageLimits, Pixels, decode
from trigger_api.media.letterbox import letterbox
from trigger_api.model_card import ModelCard
from trigger_api.registry import Registry
from trigger_api.scheduler import Tensors

TASK = "objects"
PHOTO, SIZE, LIMITS = "photo", "size", "limits"
BOXES, SCORES, CLASSES = "boxes", "scores", "classes"


@dataclass(frozen=True)
class Wanted:
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
class Thing:
    """One object; its edges as fractions of the photo's width and height, from the upper left corner."""

    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class View:
    """What was seen on one photo of ``width`` x ``height`` pixels, highest scores first."""

    things: tuple[Thing, ...]
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


class Objects:
    """The task: the same object serves every way in."""

    def __init__(self, engine: Engine, registry: Registry, limits: ImageLimits) -> None:
        self._engine = engine
        self._registry = registry
        self._limits = limits

    async def find(
        self, data: bytes, wanted: Wanted | None = None, *, model: str | None = None, version: str | None = None
    ) -> View:
        """Look at one photo, given as the bytes of a file.

        Args:
            data: the file.
            wanted: which boxes count.
            model: a model's name; the default one if not given.
            version: a number or a label; see ``Registry.find``.

        Raises:
            ServiceError: the photo cannot be taken, or the engine cannot answer in time.
        """
        wanted = wanted or Wanted()
        with self._registry.acquire(TASK, model, version) as served:
            queue = next(iter(served.queues.values()))
            async with self._engine.deadline(queue.limits.deadline_s) as deadline:
                photo = await self._engine.preprocess(_decoded, data, self._limits, served.card, wanted)
                (answer,) = await self._engine.infer(queue, [photo.item], deadline)
                size = sum(tensor.nbytes for tensor in answer.values())
                things = await self._engine.preprocess(read, answer, served.card.labels, size=size)
            return View(tuple(things[: wanted.most]), photo.width, photo.height, served.card.name, served.card.version)


def prepare(pixels: Pixels, card: ModelCard, wanted: Wanted) -> Prepared:
    """A photo ``(height, width, 3)`` as an item for the model."""
    side = next(spec.shape[0] for spec in card.inputs if spec.name == PHOTO)
    canvas, size = letterbox(pixels, side)
    limits = np.array([wanted.score, wanted.overlap, wanted.height, wanted.width], np.float32)
    item: Tensors = {PHOTO: canvas, SIZE: np.array(size, np.int32), LIMITS: limits}
    return Prepared(item, pixels.shape[1], pixels.shape[0])


def read(answer: Tensors, labels: Sequence[str]) -> list[Thing]:
    """What the model found; where it found nothing more its scores are 0."""
    found = answer[SCORES] > 0
    rows = zip(answer[BOXES][found], answer[SCORES][found], answer[CLASSES][found], strict=True)
    return [Thing(_label(labels, int(kind)), float(score), *_edges(box)) for box, score, kind in rows]


def _label(labels: Sequence[str], kind: int) -> str:
    return labels[kind] if kind < len(labels) else str(kind)


def _edges(box: NDArray[np.float32]) -> list[float]:
    return [float(edge) for edge in box]


def _decoded(data: bytes, limits: ImageLimits, card: ModelCard, wanted: Wanted) -> Prepared:
    return prepare(decode(data, limits).pixels, card, wanted)
