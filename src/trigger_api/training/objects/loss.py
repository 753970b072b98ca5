"""YOLOX's loss, with dynamic label assignment.

Source: the assignment is SimOTA, of the YOLOX report (arXiv:2107.08430, section 2.1): an object gets about as many
cells as its ten best overlaps sum up to, those of the lowest cost, which is that of class and box together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from trigger_api.training.box_overlap import area, intersection, iou
from trigger_api.training.grid import grid
from trigger_api.training.objects.detector import decode_boxes

_CENTRE_RADIUS = 1.5  # strides from an object's centre within which cells are preferred
_MAX_CELLS = 10  # an object
_FAR, _NEVER = 1e5, 1e9
_BOX = 5.0  # weight of the boxes' loss
_IGNORED = 0.5  # share of a cell's box within an uncertain object, above which the cell is ignored
_TINY = 1e-8


@dataclass(frozen=True)
class _Targets:
    """For every cell: its object's box, class scores and weight; and 0 if it is ignored, otherwise 1."""

    boxes: Any
    classes: Any
    weights: Any
    counted: Any


def detection_loss(objects: Any, cells: Any, *, side: int) -> Any:
    """The loss of a batch, one number.

    Args:
        objects: ``(batch, n, 6)``: left, top, right, bottom in pixels, the class, and the weight: 0..1, 0 for padding,
            -1 for an uncertain object or a crowd.
        cells: ``(batch, cells, 5 + classes)``; see ``build_network``.
        side: of the pictures, pixels.
    """
    weights, objects = objects[..., 5], objects[..., :5]
    boxes = decode_boxes(cells, side)
    targets = _assign(tf.stop_gradient(boxes), tf.stop_gradient(cells), objects, weights, side)
    count = tf.maximum(tf.reduce_sum(targets.weights), 1.0)
    overlap = iou(boxes, targets.boxes)
    box = tf.reduce_sum((1 - overlap**2) * targets.weights)
    classes = tf.nn.sigmoid_cross_entropy_with_logits(targets.classes, cells[..., 5:])
    objectness = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(targets.weights > 0, tf.float32), cells[..., 4])
    counted = tf.where(targets.weights > 0, targets.weights, targets.counted)
    class_loss = tf.reduce_sum(tf.reduce_sum(classes, axis=-1) * targets.weights)
    return (_BOX * box + tf.reduce_sum(objectness * counted) + class_loss) / count


def _assign(boxes: Any, cells: Any, objects: Any, weights: Any, side: int) -> _Targets:
    truth, classes = objects[..., :4], tf.one_hot(tf.cast(objects[..., 4], tf.int32), cells.shape[-1] - 5)
    overlaps = iou(truth[:, :, None], boxes[:, None])
    near, central = _near(truth, side)
    cost = _class_cost(cells, classes) - 3 * tf.math.log(overlaps + _TINY) + _FAR * tf.cast(~central, tf.float32)
    possible = near & (weights > 0)[..., None]
    cost = tf.where(possible, cost, _NEVER)
    chosen = tf.cast(_cheapest(cost, tf.where(possible, overlaps, 0.0)), tf.float32)
    scores = tf.matmul(chosen * overlaps, classes, transpose_a=True)
    mine = tf.matmul(chosen, tf.concat([truth, weights[..., None]], axis=-1), transpose_a=True)
    return _Targets(mine[..., :4], scores, mine[..., 4], _count_cells(truth, boxes, weights))


def _class_cost(cells: Any, classes: Any) -> Any:
    """Cross-entropy of each cell's class scores with each object's class, ``(batch, objects, cells)``."""
    scores = tf.sqrt(tf.sigmoid(cells[..., 5:]) * tf.sigmoid(cells[..., 4:5]))
    no, yes = -tf.math.log(1 - scores + 1e-6), -tf.math.log(scores + 1e-6)
    return tf.reduce_sum(no, axis=-1)[:, None] + tf.matmul(classes, yes - no, transpose_b=True)


def _near(truth: Any, side: int) -> tuple[Any, Any]:
    """The cells in an object or near its centre, and those that are both."""
    corners, strides = grid(side)
    cells = (corners[0] + 0.5) * strides[0]
    inside = tf.reduce_all((truth[:, :, None, :2] < cells) & (cells < truth[:, :, None, 2:]), axis=-1)
    centre = (truth[..., :2] + truth[..., 2:]) / 2
    close = tf.reduce_all(tf.abs(centre[:, :, None] - cells) < _CENTRE_RADIUS * strides[0], axis=-1)
    return inside | close, inside & close


def _cheapest(cost: Any, overlaps: Any) -> Any:
    """Which cells are assigned to which object: as many as it may have, the cheapest; each to one object only."""
    best, _ = tf.math.top_k(overlaps, _MAX_CELLS)
    count = tf.maximum(tf.cast(tf.reduce_sum(best, axis=-1), tf.int32), 1)
    least = -tf.math.top_k(-cost, _MAX_CELLS)[0]
    limit = tf.gather(least, count - 1, batch_dims=2)[..., None]
    chosen = (cost <= limit) & (cost < _NEVER)
    return chosen & (cost <= tf.reduce_min(tf.where(chosen, cost, np.inf), axis=1, keepdims=True))


def _count_cells(truth: Any, boxes: Any, weights: Any) -> Any:
    """0 for cells on uncertain objects, which are ignored; 1 for all others."""
    common = intersection(truth[:, :, None], boxes[:, None])
    share = common / (area(boxes)[:, None] + _TINY)
    uncertain = (share > _IGNORED) & (weights < 0)[..., None]
    return tf.cast(~tf.reduce_any(uncertain, axis=1), tf.float32)
