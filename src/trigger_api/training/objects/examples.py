"""What is learned from: photos with boxes, and how they are disturbed before each look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import Photo
from trigger_api.media.image import Pixels
from trigger_api.media.letterbox import GREY
from trigger_api.runtimes.coco_labels import COCO
from trigger_api.training.objects.network import SIDE
from trigger_api.training.objects.teacher import Boxes

MOST = 48
"""Objects of a picture that are learned from, the largest."""
_SURE, _UNSURE = 0.45, 0.15  # scores of a teacher: from the first it is believed, from the second nothing is said
_ZOOM = (0.6, 1.5)
_HIDDEN = 0.3  # share of an object left in the picture, below which nothing is said of it

Targets = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Boxes and classes ``(MOST, 5)`` in pixels, and how much each counts ``(MOST,)``; see ``detection_loss``."""


@dataclass(frozen=True)
class Example:
    """A photo; ``boxes (n, 4)`` are in its pixels, and ``weights`` say how sure they are, -1 for not at all."""

    pixels: Pixels
    boxes: NDArray[np.float32]
    kinds: NDArray[np.float32]
    weights: NDArray[np.float32]


def labelled(pixels: Pixels, photo: Photo) -> Example:
    """An example of people's labels."""
    corners = [(x, y, x + width, y + height) for x, y, width, height in (thing.box for thing in photo.objects)]
    kinds = [COCO.index(thing.label) for thing in photo.objects]
    weights = [-1.0 if thing.iscrowd else 1.0 for thing in photo.objects]
    return Example(pixels, _array(corners).reshape(-1, 4), _array(kinds), _array(weights))


def taught(pixels: Pixels, seen: Boxes) -> Example:
    """An example of a teacher's labels."""
    seen = seen[seen[:, 5] >= _UNSURE]
    height, width = pixels.shape[:2]
    weights = np.where(seen[:, 5] >= _SURE, np.sqrt(seen[:, 5]), -1)
    return Example(pixels, seen[:, :4] * _array([width, height] * 2), seen[:, 4], _array(weights))


def _array(values: object) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def disturbed(example: Example, rng: np.random.Generator) -> tuple[NDArray[np.float32], Targets]:
    """A picture ``(SIDE, SIDE, 3)``: mirrored or not, nearer or farther, moved, in another light."""
    height, width = example.pixels.shape[:2]
    scale = SIDE / max(height, width) * np.exp(rng.uniform(*np.log(_ZOOM)))
    room = SIDE - scale * np.array([width, height])
    shift = rng.uniform(np.minimum(room, 0), np.maximum(room, 0))
    picture = _placed(example.pixels, scale, shift)
    boxes = example.boxes * scale + np.tile(shift, 2)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
        boxes = np.stack([SIDE - boxes[:, 2], boxes[:, 1], SIDE - boxes[:, 0], boxes[:, 3]], axis=1)
    return _lit(picture, rng), _targets(boxes, example)


def plain(example: Example) -> tuple[NDArray[np.float32], Targets]:
    """The picture as it is served: in the top left corner, as large as it fits."""
    scale = SIDE / max(example.pixels.shape[:2])
    return _placed(example.pixels, scale, np.zeros(2)), _targets(example.boxes * scale, example)


def _placed(pixels: Pixels, scale: float, shift: NDArray[np.float64]) -> NDArray[np.float32]:
    inverse = (1 / scale, 0, -shift[0] / scale, 0, 1 / scale, -shift[1] / scale)
    picture = PIL.Image.fromarray(pixels).transform(
        (SIDE, SIDE),
        PIL.Image.Transform.AFFINE,
        inverse,
        PIL.Image.Resampling.BILINEAR,
        fillcolor=(GREY, GREY, GREY),
    )
    return np.asarray(picture, np.float32)


def _lit(picture: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Brightness, contrast, colour and white balance, a little each."""
    grey = picture.mean(axis=2, keepdims=True)
    coloured = grey + (picture - grey) * rng.uniform(0.6, 1.4)
    balanced = coloured * rng.uniform(0.94, 1.06, 3) * rng.uniform(0.7, 1.3)
    return np.asarray((balanced + rng.uniform(-15, 15)).clip(0, 255), np.float32)


def _targets(boxes: NDArray[np.float32], example: Example) -> Targets:
    """The boxes within the picture; of one that is mostly out of it, nothing is said."""
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    inside = boxes.clip(0, SIDE)
    left = (inside[:, 2:] - inside[:, :2]).prod(axis=1)
    weights = np.where(left < _HIDDEN * whole, -1, example.weights)
    kept = np.argsort(-left)[: min(MOST, np.count_nonzero(left > 4))]
    objects, sure = np.zeros((MOST, 5), np.float32), np.zeros(MOST, np.float32)
    objects[: len(kept), :4], objects[: len(kept), 4] = inside[kept], example.kinds[kept]
    sure[: len(kept)] = weights[kept]
    return objects, sure


class Dealer:
    """Deals the examples in batches, a new disturbance each time; each labelled one is dealt ``often`` an epoch."""

    def __init__(self, labelled: Sequence[Example], taught: Sequence[Example], size: int, often: int) -> None:
        self._examples = [*labelled, *taught]
        self._numbers = [*np.repeat(np.arange(len(labelled)), often), *range(len(labelled), len(self._examples))]
        self._size = size

    def epoch(self, number: int) -> list[list[int]]:
        """The numbers of each batch's examples, shuffled by the epoch's own chance; what is left over is left out."""
        order = np.random.default_rng([1, number]).permutation(self._numbers).tolist()
        return [order[start : start + self._size] for start in range(0, len(order) - self._size + 1, self._size)]

    def batch(
        self, members: Sequence[int], step: int
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32], NDArray[np.float32]]:
        """Pictures, their objects and how much each counts."""
        rng = np.random.default_rng([2, step])
        made = [disturbed(self._examples[member], rng) for member in members]
        objects = np.stack([targets[0] for _, targets in made])
        weights = np.stack([targets[1] for _, targets in made])
        return {"pictures": np.stack([picture for picture, _ in made])}, objects, weights
