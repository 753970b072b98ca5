"""Labels for photos that have none: what the starting point sees on them at several sizes, and in the mirror."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.media.image import Pixels
from trigger_api.media.letterbox import GREY
from trigger_api.training.objects.detector import grid

if TYPE_CHECKING:
    import keras

Boxes = NDArray[np.float32]
"""``(n, 6)``: left, top, right and bottom as fractions of the photo, class, score."""

_SIDES = (320, 416, 544)
_FAINT = 0.05  # a box of a lower score is not looked at
_SAME = 0.55  # of two boxes of a class, the overlap from which they show one object


class Teacher:
    """Looks at a photo several times and takes the mean of what it sees."""

    def __init__(self, network: keras.Model) -> None:
        import tensorflow as tf

        self._look = tf.function(
            lambda pictures: network(pictures, training=False),
            input_signature=[tf.TensorSpec((2, None, None, 3), tf.float32)],
            autograph=False,
        )

    def see(self, pixels: Pixels) -> Boxes:
        """The objects on a photo; a score is the mean over all looks, 0 for those that did not see it."""
        looks = [look for side in _SIDES for look in self._both(pixels, side)]
        return fused(np.concatenate(looks), len(looks))

    def _both(self, pixels: Pixels, side: int) -> Iterable[Boxes]:
        picture, extent = _letterboxed(pixels, side)
        mirrored = np.full_like(picture, GREY)
        mirrored[: extent[1], : extent[0]] = picture[: extent[1], : extent[0]][:, ::-1]
        plain, flipped = (_read(cells, extent, side) for cells in self._look(np.stack([picture, mirrored])).numpy())
        flipped[:, [0, 2]] = 1 - flipped[:, [2, 0]]
        return plain, flipped


def fused(boxes: Boxes, looks: int) -> Boxes:
    """One box for all that overlap, of a class: their mean, weighted by score, from the likeliest to the faintest."""
    rest = boxes[np.argsort(-boxes[:, 5], kind="stable")]
    found = []
    while len(rest):
        same = (overlaps(rest[0], rest) > _SAME) & (rest[:, 4] == rest[0, 4])
        group, rest = rest[same], rest[~same]
        box = np.average(group[:, :4], axis=0, weights=group[:, 5])
        found.append([*box, group[0, 4], min(group[:, 5].sum() / looks, 1.0)])
    return np.array(found, np.float32).reshape(-1, 6)


def overlaps(box: Boxes, boxes: Boxes) -> NDArray[np.float32]:
    """Intersection over union of one box with others."""
    sides = np.minimum(box[2:4], boxes[:, 2:4]) - np.maximum(box[:2], boxes[:, :2])
    common = sides.clip(0).prod(axis=1)
    areas = (boxes[:, 2:4] - boxes[:, :2]).prod(axis=1)
    whole = areas + (box[2:4] - box[:2]).prod() - common
    return np.asarray(common / np.maximum(whole, 1e-9), np.float32)


def _letterboxed(pixels: Pixels, side: int) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """The photo scaled to fit a square, and its width and height there."""
    height, width = pixels.shape[:2]
    extent = max(1, side * width // max(width, height)), max(1, side * height // max(width, height))
    picture = np.full((side, side, 3), GREY, np.float32)
    scaled = PIL.Image.fromarray(pixels).resize(extent, PIL.Image.Resampling.BILINEAR)
    picture[: extent[1], : extent[0]] = np.asarray(scaled)
    return picture, extent


def _read(cells: NDArray[np.float32], extent: Sequence[int], side: int) -> Boxes:
    """The boxes that are not faint, each class of a look apart, without near copies."""
    places, strides = grid(side)
    scores = _sigmoid(cells[:, 4]) * _sigmoid(cells[:, 5:].max(axis=1))
    likely = scores > _FAINT
    cells, places, strides = cells[likely], places[0][likely], strides[0][likely]
    centre, half = (cells[:, :2] + places) * strides, np.exp(cells[:, 2:4]) * strides / 2
    edges = np.concatenate([centre - half, centre + half], axis=1) / np.array([*extent, *extent])
    kinds = cells[:, 5:].argmax(axis=1)
    return _without_copies(np.column_stack([edges.clip(0, 1), kinds, scores[likely]]).astype(np.float32))


def _without_copies(boxes: Boxes) -> Boxes:
    rest = boxes[np.argsort(-boxes[:, 5], kind="stable")]
    kept = []
    while len(rest):
        kept.append(rest[0])
        rest = rest[(overlaps(rest[0], rest) <= _SAME) | (rest[:, 4] != rest[0, 4])]
    return np.array(kept, np.float32).reshape(-1, 6)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))
