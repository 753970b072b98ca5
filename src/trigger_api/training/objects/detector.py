"""The whole detector as one Keras model: letterbox, network, decoding, non-maximum suppression.

All of it is built-in Keras operations, so that a ``.keras`` file holds it and loads without code of this package.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from trigger_api.runtimes.detection_ops import CANVAS, letterbox, non_max_suppression, scale_to_fit
from trigger_api.training.grid import grid
from trigger_api.training.objects.network import SIDE, build_network


def build_detector(network: keras.Model | None = None, *, side: int = SIDE) -> keras.Model:
    """Build the model from photos to boxes.

    Inputs, without their batch axis: ``photo (CANVAS, CANVAS, 3)`` uint8 RGB, the photo in its upper left corner, grey
    (114) around it; ``size (2,)`` int32, the photo's height and width there; ``limits (4,)``, and outputs
    as in ``non_max_suppression``.
    """
    network = network or build_network()
    photo = layers.Input((CANVAS, CANVAS, 3), dtype="uint8", name="photo")
    size = layers.Input((2,), dtype="int32", name="size")
    limits = layers.Input((4,), name="limits")
    extent, scale = scale_to_fit(size, side)
    cells = network(letterbox(photo, extent, scale, side))
    boxes, scores = _decode(cells, extent * scale, side)
    return keras.Model([photo, size, limits], non_max_suppression(boxes, cells[:, :, 5:], scores, limits))


def _decode(cells: Any, extent: Any, side: int) -> tuple[Any, Any]:
    """Every cell's box as fractions of the photo, and the score of its best class."""
    sides = ops.concatenate([extent[:, 1:], extent[:, :1]] * 2, axis=1)[:, None]
    boxes = ops.clip(decode_boxes(cells, side) / sides, 0.0, 1.0)
    return boxes, ops.sigmoid(cells[:, :, 4]) * ops.sigmoid(ops.max(cells[:, :, 5:], axis=2))


def decode_boxes(cells: Any, side: int) -> Any:
    """Boxes ``(batch, cells, 4)`` in pixels of the picture, ``side`` of them wide and high; see ``build_network``."""
    corners, strides = grid(side)
    centre = (cells[:, :, :2] + corners) * strides
    half = ops.exp(cells[:, :, 2:4]) * strides / 2
    return ops.concatenate([centre - half, centre + half], axis=2)
