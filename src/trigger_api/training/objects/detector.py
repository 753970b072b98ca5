"""The whole detector as one Keras model: letterbox, network, decoding, non-maximum suppression.

All of it is built-in Keras operations, so a ``.keras`` file holds it, and is loaded without any code of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trigger_api.runtimes.detection_ops import CANVAS, letterbox, non_max_suppression, scale_to_fit
from trigger_api.training.objects.network import SIDE, STRIDES, build_network

if TYPE_CHECKING:
    import keras


def build_detector(network: keras.Model | None = None, *, side: int = SIDE) -> keras.Model:
    """Photos to boxes.

    Inputs, without their batch axis: ``photo (CANVAS, CANVAS, 3)`` uint8 RGB, the photo in its upper left corner, grey
    (114) around it; ``size (2,)`` int32, the photo's height and width there; ``limits (4,)``, and outputs
    as in ``non_max_suppression``.
    """
    from keras import Model, layers

    network = network or build_network()
    photo = layers.Input((CANVAS, CANVAS, 3), dtype="uint8", name="photo")
    size = layers.Input((2,), dtype="int32", name="size")
    limits = layers.Input((4,), name="limits")
    extent, scale = scale_to_fit(size, side)
    cells = network(letterbox(photo, extent, scale, side))
    boxes, scores = _decoded(cells, extent * scale, side)
    return Model([photo, size, limits], non_max_suppression(boxes, cells[:, :, 5:], scores, limits))


def _decoded(cells: Any, extent: Any, side: int) -> tuple[Any, Any]:
    """Every cell's box as fractions of the photo, with the score of its best class."""
    from keras import ops

    places, strides = grid(side)
    centre = (cells[:, :, :2] + places) * strides
    half = ops.exp(cells[:, :, 2:4]) * strides / 2
    across = ops.concatenate([extent[:, 1:], extent[:, :1]] * 2, axis=1)[:, None]
    boxes = ops.clip(ops.concatenate([centre - half, centre + half], axis=2) / across, 0.0, 1.0)
    return boxes, ops.sigmoid(cells[:, :, 4]) * ops.sigmoid(ops.max(cells[:, :, 5:], axis=2))


def grid(side: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The cells' corners in strides ``(1, cells, 2)``, x before y, and their strides ``(1, cells, 1)``."""
    counts = [side // stride for stride in STRIDES]
    places = [np.stack(np.meshgrid(np.arange(count), np.arange(count)), axis=-1).reshape(-1, 2) for count in counts]
    strides = np.repeat(STRIDES, [count * count for count in counts])
    return np.concatenate(places)[None].astype(np.float32), strides[None, :, None].astype(np.float32)
