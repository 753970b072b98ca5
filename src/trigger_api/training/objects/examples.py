"""What objects are trained on: photos with boxes, and their augmentation."""

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
from trigger_api.training.loop import BatchSampler, TrainingConfig
from trigger_api.training.objects.network import SIDE
from trigger_api.training.objects.teacher import Boxes

MOST = 48
"""Objects of a picture in its targets, the largest."""
_CERTAIN, _UNCERTAIN = 0.45, 0.15  # scores of a teacher: labels from the first on, ignored from the second on
_ZOOM = (0.6, 1.5)
_VISIBLE = 0.3  # share of an object within the picture, below which it is ignored

Targets = NDArray[np.float32]
"""Boxes in pixels, classes and weights ``(MOST, 6)``; see ``detection_loss``."""


@dataclass(frozen=True)
class Example:
    """A photo; ``boxes (n, 4)`` in its pixels, ``classes`` and ``weights (n,)``, -1 for uncertain boxes."""

    pixels: Pixels
    boxes: NDArray[np.float32]
    classes: NDArray[np.float32]
    weights: NDArray[np.float32]


def labelled(pixels: Pixels, photo: Photo) -> Example:
    """An example labelled by people."""
    corners = [(x, y, x + width, y + height) for x, y, width, height in (thing.box for thing in photo.objects)]
    classes = [COCO.index(thing.label) for thing in photo.objects]
    weights = [-1.0 if thing.iscrowd else 1.0 for thing in photo.objects]
    return Example(pixels, _array(corners).reshape(-1, 4), _array(classes), _array(weights))


def pseudo_labelled(pixels: Pixels, predicted: Boxes) -> Example:
    """An example labelled by a teacher."""
    predicted = predicted[predicted[:, 5] >= _UNCERTAIN]
    height, width = pixels.shape[:2]
    weights = np.where(predicted[:, 5] >= _CERTAIN, np.sqrt(predicted[:, 5]), -1)
    return Example(pixels, predicted[:, :4] * _array([width, height] * 2), predicted[:, 4], _array(weights))


def _array(values: object) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def augment(example: Example, rng: np.random.Generator) -> tuple[NDArray[np.float32], Targets]:
    """A picture ``(SIDE, SIDE, 3)``: mirrored or not, scaled, shifted, in another light."""
    height, width = example.pixels.shape[:2]
    scale = SIDE / max(height, width) * np.exp(rng.uniform(*np.log(_ZOOM)))
    room = SIDE - scale * np.array([width, height])
    shift = rng.uniform(np.minimum(room, 0), np.maximum(room, 0))
    picture = _transform(example.pixels, scale, shift)
    boxes = example.boxes * scale + np.tile(shift, 2)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
        boxes = np.stack([SIDE - boxes[:, 2], boxes[:, 1], SIDE - boxes[:, 0], boxes[:, 3]], axis=1)
    return _light(picture, rng), _targets(boxes, example)


def plain(example: Example) -> tuple[NDArray[np.float32], Targets]:
    """The picture as the served model sees it: in the top left corner, as large as it fits."""
    scale = SIDE / max(example.pixels.shape[:2])
    return _transform(example.pixels, scale, np.zeros(2)), _targets(example.boxes * scale, example)


def _transform(pixels: Pixels, scale: float, shift: NDArray[np.float64]) -> NDArray[np.float32]:
    inverse = (1 / scale, 0, -shift[0] / scale, 0, 1 / scale, -shift[1] / scale)
    picture = PIL.Image.fromarray(pixels).transform(
        (SIDE, SIDE),
        PIL.Image.Transform.AFFINE,
        inverse,
        PIL.Image.Resampling.BILINEAR,
        fillcolor=(GREY, GREY, GREY),
    )
    return np.asarray(picture, np.float32)


def _light(picture: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Brightness, contrast, saturation and white balance, a little each."""
    grey = picture.mean(axis=2, keepdims=True)
    coloured = grey + (picture - grey) * rng.uniform(0.6, 1.4)
    balanced = coloured * rng.uniform(0.94, 1.06, 3) * rng.uniform(0.7, 1.3)
    return np.asarray((balanced + rng.uniform(-15, 15)).clip(0, 255), np.float32)


def _targets(boxes: NDArray[np.float32], example: Example) -> Targets:
    """The boxes within the picture; one that is mostly outside is ignored."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    inside = boxes.clip(0, SIDE)
    visible = (inside[:, 2:] - inside[:, :2]).prod(axis=1)
    weights = np.where(visible < _VISIBLE * areas, -1, example.weights)
    kept = np.argsort(-visible)[: min(MOST, np.count_nonzero(visible > 4))]
    targets = np.zeros((MOST, 6), np.float32)
    targets[: len(kept)] = np.column_stack([inside[kept], example.classes[kept], weights[kept]])
    return targets


class PhotoSampler(BatchSampler):
    """Photos, augmented anew in every epoch; each labelled one is drawn ``repeats`` times an epoch."""

    def __init__(
        self, labelled: Sequence[Example], pseudo_labelled: Sequence[Example], config: TrainingConfig, repeats: int
    ) -> None:
        self._examples = [*labelled, *pseudo_labelled]
        rows = [*np.repeat(np.arange(len(labelled)), repeats), *range(len(labelled), len(self._examples))]
        super().__init__(config, rows, seed=(1,))

    def batch(self, members: Sequence[int], step: int) -> tuple[dict[str, NDArray[np.float32]], Targets]:
        """Make one batch: ``pictures (n, SIDE, SIDE, 3)`` and their objects ``(n, MOST, 6)``."""
        rng = np.random.default_rng([2, step])
        pictures, targets = zip(*(augment(self._examples[member], rng) for member in members), strict=True)
        return {"pictures": np.stack(pictures)}, np.stack(targets)
