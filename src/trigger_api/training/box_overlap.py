"""How far boxes overlap, for losses: TensorFlow, elementwise, broadcasting. Boxes are left, top, right, bottom."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_EPSILON = 1e-7  # square pixels: boxes without area do not overlap


def iou(first: Any, second: Any) -> Any:
    """Intersection over union of boxes ``(..., 4)``."""
    common = _intersection(first, second)
    return common / (_area(first) + _area(second) - common + _EPSILON)


def giou(first: Any, second: Any) -> Any:
    """Generalised intersection over union: less the share of the enclosing box that neither box fills.

    Source: H. Rezatofighi et al., "Generalized Intersection over Union", arXiv:1902.09630.
    """
    common = _intersection(first, second)
    union = _area(first) + _area(second) - common
    corners = tf.minimum(first[..., :2], second[..., :2]), tf.maximum(first[..., 2:], second[..., 2:])
    enclosing = _area(tf.concat(corners, axis=-1))
    return common / (union + _EPSILON) - (enclosing - union) / (enclosing + _EPSILON)


def _intersection(first: Any, second: Any) -> Any:
    """The area that boxes have in common."""
    corners = tf.maximum(first[..., :2], second[..., :2]), tf.minimum(first[..., 2:], second[..., 2:])
    sides = tf.nn.relu(corners[1] - corners[0])
    return sides[..., 0] * sides[..., 1]


def _area(boxes: Any) -> Any:
    """Of boxes ``(..., 4)`` whose right and lower edges are not left of or above the others."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
