"""What a detector is taught by: YOLOX's losses, with each object's cells chosen anew by how well they do.

Source: the assignment is SimOTA, of the YOLOX report (arXiv:2107.08430, section 2.1): an object is given about as many
cells as its ten best overlaps sum up to, those of the least cost, which is that of the class and of the box together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from trigger_api.training.objects.detector import grid

_REACH = 1.5  # strides from an object's middle within which cells are asked first
_MOST = 10  # cells an object
_FAR, _NEVER = 1e5, 1e9
_BOX = 5.0  # how much boxes count
_IGNORED = 0.5  # of a cell's box within an object that nobody is sure of: then it is told nothing
_TINY = 1e-8


@dataclass(frozen=True)
class _Targets:
    """For every cell: its object's box, class scores, weight; and whether it is told anything at all."""

    boxes: Any
    classes: Any
    weights: Any
    told: Any


def detection_loss(cells: Any, objects: Any, weights: Any, *, side: int) -> Any:
    """One number: how wrong cells ``(batch, cells, 5 + classes)`` are.

    Args:
        cells: what the network says; see ``build_network``.
        objects: ``(batch, n, 5)``: left, top, right, bottom in pixels, and the class.
        weights: ``(batch, n)``: how sure an object is, 0..1; 0 for none; -1 for what may be one, or a crowd.
        side: of the pictures, pixels.
    """
    boxes = _boxes(cells, side)
    targets = _assigned(tf.stop_gradient(boxes), tf.stop_gradient(cells), objects, weights, side)
    count = tf.maximum(tf.reduce_sum(targets.weights), 1.0)
    overlap = _paired_overlaps(boxes, targets.boxes)
    box = tf.reduce_sum((1 - overlap**2) * targets.weights)
    classes = tf.nn.sigmoid_cross_entropy_with_logits(targets.classes, cells[..., 5:])
    there = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(targets.weights > 0, tf.float32), cells[..., 4])
    sure = tf.where(targets.weights > 0, targets.weights, targets.told)
    kinds = tf.reduce_sum(tf.reduce_sum(classes, axis=-1) * targets.weights)
    return (_BOX * box + tf.reduce_sum(there * sure) + kinds) / count


def _boxes(cells: Any, side: int) -> Any:
    places, strides = grid(side)
    centre = (cells[..., :2] + places) * strides
    half = tf.exp(cells[..., 2:4]) * strides / 2
    return tf.concat([centre - half, centre + half], axis=-1)


def _assigned(boxes: Any, cells: Any, objects: Any, weights: Any, side: int) -> _Targets:
    wanted, kinds = objects[..., :4], tf.one_hot(tf.cast(objects[..., 4], tf.int32), cells.shape[-1] - 5)
    overlaps = _overlaps(wanted, boxes)
    near, nearest = _near(wanted, side)
    cost = _class_cost(cells, kinds) - 3 * tf.math.log(overlaps + _TINY) + _FAR * tf.cast(~nearest, tf.float32)
    possible = near & (weights > 0)[..., None]
    cost = tf.where(possible, cost, _NEVER)
    chosen = tf.cast(_cheapest(cost, tf.where(possible, overlaps, 0.0)), tf.float32)
    scores = tf.matmul(chosen * overlaps, kinds, transpose_a=True)
    mine = tf.matmul(chosen, tf.concat([wanted, weights[..., None]], axis=-1), transpose_a=True)
    return _Targets(mine[..., :4], scores, mine[..., 4], _told(wanted, boxes, weights))


def _class_cost(cells: Any, kinds: Any) -> Any:
    """Cross-entropy of each cell's class scores with each object's class, ``(batch, objects, cells)``."""
    scores = tf.sqrt(tf.sigmoid(cells[..., 5:]) * tf.sigmoid(cells[..., 4:5]))
    no, yes = -tf.math.log(1 - scores + 1e-6), -tf.math.log(scores + 1e-6)
    return tf.reduce_sum(no, axis=-1)[:, None] + tf.matmul(kinds, yes - no, transpose_b=True)


def _near(wanted: Any, side: int) -> tuple[Any, Any]:
    """The cells in an object or near its middle, and those that are both."""
    places, strides = grid(side)
    cells = (places[0] + 0.5) * strides[0]
    inside = tf.reduce_all((wanted[:, :, None, :2] < cells) & (cells < wanted[:, :, None, 2:]), axis=-1)
    middle = (wanted[..., :2] + wanted[..., 2:]) / 2
    close = tf.reduce_all(tf.abs(middle[:, :, None] - cells) < _REACH * strides[0], axis=-1)
    return inside | close, inside & close


def _cheapest(cost: Any, overlaps: Any) -> Any:
    """Which cells go to which object: the cheapest, as many as it may have; a cell goes to one object only."""
    best, _ = tf.math.top_k(overlaps, _MOST)
    count = tf.maximum(tf.cast(tf.reduce_sum(best, axis=-1), tf.int32), 1)
    least = -tf.math.top_k(-cost, _MOST)[0]
    limit = tf.gather(least, count - 1, batch_dims=2)[..., None]
    chosen = (cost <= limit) & (cost < _NEVER)
    return chosen & (cost <= tf.reduce_min(tf.where(chosen, cost, np.inf), axis=1, keepdims=True))


def _told(wanted: Any, boxes: Any, weights: Any) -> Any:
    """1 for cells that may be told that nothing is there, 0 for those on what nobody is sure of."""
    common = _common(wanted[:, :, None], boxes[:, None])
    share = common / (_area(boxes)[:, None] + _TINY)
    unsure = (share > _IGNORED) & (weights < 0)[..., None]
    return tf.cast(~tf.reduce_any(unsure, axis=1), tf.float32)


def _overlaps(first: Any, second: Any) -> Any:
    """Intersection over union of all pairs, ``(batch, n, m)``."""
    common = _common(first[:, :, None], second[:, None])
    return common / (_area(first)[:, :, None] + _area(second)[:, None] - common + _TINY)


def _paired_overlaps(first: Any, second: Any) -> Any:
    common = _common(first, second)
    return common / (_area(first) + _area(second) - common + _TINY)


def _common(first: Any, second: Any) -> Any:
    sides = tf.minimum(first[..., 2:], second[..., 2:]) - tf.maximum(first[..., :2], second[..., :2])
    return tf.reduce_prod(tf.maximum(sides, 0.0), axis=-1)


def _area(boxes: Any) -> Any:
    return tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
