"""The detector's loss: YOLOv3's, with boxes by their generalised overlap.

Source: arXiv:1804.02767 for which anchors are responsible for a face and which are ignored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trigger_api.training.box_overlap import giou, iou
from trigger_api.training.emotions.yolo import ANCHORS, PER_CELL, decode
from trigger_api.training.grid import STRIDES, cell_counts

TARGET = 4 + 7 + 2
"""A face's numbers: its box, the probabilities of its emotions, their weight, and whether it counts: 1, -1 for what may
be a face, 0 for padding."""
_MATCHED = 0.5  # overlap of an anchor with a face, centred, from which the anchor is responsible for it
_IGNORED = 0.5  # overlap of a box with any face from which its objectness is not pushed to 0
_BOX, _EMOTION = 2.0, 2.0


def detector_loss(faces: Any, scores: Any, *, side: int) -> Any:
    """The loss of a batch, one number.

    Args:
        faces: ``(batch, most, TARGET)``, boxes in pixels.
        scores: ``(batch, n, 5 + 7)``; see ``yolo.training_model``.
        side: of the photos, pixels.
    """
    boxes, _, _ = decode(scores, side)
    index, responsible = _match(faces, side)
    count = tf.maximum(tf.reduce_sum(responsible), 1.0)
    box = tf.reduce_sum((1 - giou(tf.gather(boxes, index, batch_dims=1), faces[:, :, None, :4])) * responsible)
    emotion = _emotion_loss(tf.gather(scores[..., 5:], index, batch_dims=1), faces, responsible)
    objectness = _objectness_loss(scores[..., 4], boxes, faces, index, responsible)
    return (_BOX * box + objectness) / count + _EMOTION * emotion


def _match(faces: Any, side: int) -> tuple[Any, Any]:
    """For each face and each of the nine anchors at its centre: the row in the scores, and 1 if it is responsible."""
    centre = (faces[..., :2] + faces[..., 2:4]) / 2
    size = tf.maximum(faces[..., 2:4] - faces[..., :2], 1.0)
    rows, first = [], 0
    for stride, cells in zip(STRIDES, cell_counts(side), strict=True):
        count = side // stride
        cell = tf.clip_by_value(tf.cast(centre // stride, tf.int32), 0, count - 1)
        row = first + (cell[..., 1] * count + cell[..., 0]) * PER_CELL
        rows += [row + anchor for anchor in range(PER_CELL)]
        first += cells * PER_CELL
    anchors = np.array(ANCHORS, np.float32).reshape(-1, 2)
    overlap = iou(_centred(size[:, :, None]), _centred(anchors))
    best = tf.equal(overlap, tf.reduce_max(overlap, axis=-1, keepdims=True))
    responsible = ((overlap > _MATCHED) | best) & (faces[..., -1:] > 0)
    return tf.stack(rows, axis=-1), tf.cast(responsible, tf.float32)


def _centred(size: Any) -> Any:
    """Boxes of these widths and heights around the origin."""
    return tf.concat([-size / 2, size / 2], axis=-1)


def _emotion_loss(logits: Any, faces: Any, responsible: Any) -> Any:
    """The mean cross-entropy over the anchors responsible for faces whose emotions are known."""
    targets = tf.broadcast_to(faces[:, :, None, 4:11], tf.shape(logits))
    weights = responsible * faces[..., 11:12]
    each = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    return tf.reduce_sum(each * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)


def _objectness_loss(logits: Any, boxes: Any, faces: Any, index: Any, responsible: Any) -> Any:
    """Cross-entropy of holding a face; anchors that overlap one without being responsible for it are ignored."""
    batch = tf.broadcast_to(tf.range(tf.shape(index)[0])[:, None, None], tf.shape(index))
    where = tf.reshape(tf.stack([batch, index], axis=-1), [-1, 2])
    targets = tf.tensor_scatter_nd_max(tf.zeros_like(logits), where, tf.reshape(responsible, [-1]))
    present = tf.cast(faces[..., -1] != 0, tf.float32)
    overlap = iou(tf.stop_gradient(boxes)[:, :, None], faces[:, None, :, :4]) * present[:, None]
    counted = tf.maximum(targets, tf.cast(tf.reduce_max(overlap, axis=-1) < _IGNORED, tf.float32))
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits) * counted)
