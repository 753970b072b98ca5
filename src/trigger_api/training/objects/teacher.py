"""Pseudo-labels for photos without labels: what the published network sees at several sizes, and in the mirror."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray
from scipy.special import expit

from trigger_api.media.boxes import iou, nms
from trigger_api.media.image import Pixels
from trigger_api.media.letterbox import GREY, letterbox
from trigger_api.training.objects.detector import decode_boxes

if TYPE_CHECKING:
    import keras

Boxes = NDArray[np.float32]
"""``(n, 6)``: left, top, right and bottom as fractions of the photo, class, score."""

_SIDES = (320, 416, 544)
_MIN_SCORE = 0.05
_SAME_OBJECT = 0.55  # overlap of two boxes of a class above which they show one object


class Teacher:
    """Predicts a photo several times, and fuses what it predicts."""

    def __init__(self, network: keras.Model) -> None:
        import tensorflow as tf

        self._run = tf.function(
            lambda pictures: network(pictures, training=False),
            input_signature=[tf.TensorSpec((2, None, None, 3), tf.float32)],
            autograph=False,
        )

    def predict(self, pixels: Pixels) -> Boxes:
        """The objects in a photo; a score is the mean over all predictions, 0 for those without the object."""
        predictions = [boxes for side in _SIDES for boxes in self._both(pixels, side)]
        return fuse_boxes(np.concatenate(predictions), len(predictions))

    def _both(self, pixels: Pixels, side: int) -> Iterable[Boxes]:
        """Of the photo and of its mirror image."""
        scaled = PIL.ImageOps.contain(PIL.Image.fromarray(pixels), (side, side), PIL.Image.Resampling.BILINEAR)
        picture, extent = letterbox(np.asarray(scaled), side)
        height, width = extent
        mirrored = np.full_like(picture, GREY)
        mirrored[:height, :width] = picture[:height, :width][:, ::-1]
        cells = self._run(np.stack([picture, mirrored]).astype(np.float32)).numpy()
        plain, flipped = (_detect(each, extent, side) for each in cells)
        flipped[:, [0, 2]] = 1 - flipped[:, [2, 0]]
        return plain, flipped


def fuse_boxes(boxes: Boxes, predictions: int) -> Boxes:
    """Weighted box fusion: the mean of all boxes of a class that overlap, weighted by score, highest scores first."""
    rest = boxes[np.argsort(-boxes[:, 5], kind="stable")]
    fused = []
    while len(rest):
        edges = rest[:, :4].astype(np.float64)
        same = (iou(edges[:1], edges)[0] > _SAME_OBJECT) & (rest[:, 4] == rest[0, 4])
        group, rest = rest[same], rest[~same]
        box = np.average(group[:, :4], axis=0, weights=group[:, 5])
        fused.append([*box, group[0, 4], min(group[:, 5].sum() / predictions, 1.0)])
    return np.array(fused, np.float32).reshape(-1, 6)


def _detect(cells: NDArray[np.float32], extent: tuple[int, int], side: int) -> Boxes:
    """The boxes of one prediction, after non-maximum suppression within each class."""
    scores = expit(cells[:, 4]) * expit(cells[:, 5:].max(axis=1))
    edges = np.asarray(decode_boxes(cells[None], side))[0] / np.array([*extent[::-1], *extent[::-1]])
    boxes = np.column_stack([edges.clip(0, 1), cells[:, 5:].argmax(axis=1), scores]).astype(np.float32)
    boxes = boxes[scores > _MIN_SCORE]
    boxes = boxes[np.argsort(-boxes[:, 5], kind="stable")]
    by_class = (boxes[boxes[:, 4] == label] for label in np.unique(boxes[:, 4]))
    return np.concatenate([boxes[:0], *(group[nms(group[:, :4], _SAME_OBJECT)] for group in by_class)])
