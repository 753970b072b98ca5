"""What the detector is taught by: YOLOv3's losses, with boxes by their overlap.

Sources: arXiv:1804.02767 for which anchors answer for a face and which are left alone; H. Rezatofighi et al.,
"Generalized Intersection over Union", arXiv:1902.09630, for the boxes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from trigger_api.training.emotions.yolo import ANCHORS, PER_PLACE, STRIDES, decoded

TARGET = 4 + 7 + 2
"""A face's numbers: its box, the shares of its emotions, how much those count, and whether it counts: 1, or -1 for what
may be a face, 0 for none."""
_ALIKE = 0.5  # of an anchor and a face in the same place, the overlap from which it answers for the face
_IGNORED = 0.5  # overlap of a box with any face from which it is not told that nothing is there
_BOX, _EMOTION = 2.0, 2.0
_TINY = 1e-7


def finding_loss(scores: Any, faces: Any, weights: Any, *, side: int) -> Any:
    """One number: how wrong a learner's scores ``(batch, n, 5 + 7)`` are.

    Args:
        scores: see ``yolo.learner``.
        faces: ``(batch, most, TARGET)``, boxes in pixels.
        weights: not used: faces carry their own.
        side: of the photos, pixels.
    """
    del weights
    boxes, _, _ = decoded(scores, side)
    sure = faces[..., -1] > 0
    index, answers = _answering(faces, sure, side)
    count = tf.maximum(tf.reduce_sum(answers), 1.0)
    own = tf.gather(boxes, index, batch_dims=1)
    box = tf.reduce_sum((1 - _overlap(own, faces[:, :, None, :4], enclosing=True)) * answers)
    emotion = _emotion(tf.gather(scores[..., 5:], index, batch_dims=1), faces, answers)
    there = _there(scores[..., 4], boxes, faces, index, answers)
    return (_BOX * box + there) / count + _EMOTION * emotion


def _answering(faces: Any, sure: Any, side: int) -> tuple[Any, Any]:
    """For each face and each of the nine anchors at its middle: the place in the scores, and 1 if it answers."""
    middle = (faces[..., :2] + faces[..., 2:4]) / 2
    size = tf.maximum(faces[..., 2:4] - faces[..., :2], 1.0)
    indices, start = [], 0
    for stride in STRIDES:
        count = side // stride
        cell = tf.clip_by_value(tf.cast(middle // stride, tf.int32), 0, count - 1)
        first = start + (cell[..., 1] * count + cell[..., 0]) * PER_PLACE
        indices += [first + anchor for anchor in range(PER_PLACE)]
        start += count * count * PER_PLACE
    anchors = tf.constant(np.array(ANCHORS, np.float32).reshape(-1, 2))
    common = tf.reduce_prod(tf.minimum(size[:, :, None], anchors), axis=-1)
    alike = common / (tf.reduce_prod(size, -1)[..., None] + tf.reduce_prod(anchors, -1) - common)
    best = tf.equal(alike, tf.reduce_max(alike, axis=-1, keepdims=True))
    answers = tf.cast(((alike > _ALIKE) | best) & sure[..., None], tf.float32)
    return tf.stack(indices, axis=-1), answers


def _emotion(logits: Any, faces: Any, answers: Any) -> Any:
    """The mean cross-entropy over the answers for faces whose emotions are known."""
    wanted = tf.broadcast_to(faces[:, :, None, 4:11], tf.shape(logits))
    weights = answers * faces[..., 11:12]
    each = tf.nn.softmax_cross_entropy_with_logits(wanted, logits)
    return tf.reduce_sum(each * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)


def _there(logits: Any, boxes: Any, faces: Any, index: Any, answers: Any) -> Any:
    """Cross-entropy of there being a face; nothing is asked of what overlaps one without answering for it."""
    batch = tf.broadcast_to(tf.range(tf.shape(index)[0])[:, None, None], tf.shape(index))
    where = tf.reshape(tf.stack([batch, index], axis=-1), [-1, 2])
    found = tf.tensor_scatter_nd_max(tf.zeros_like(logits), where, tf.reshape(answers, [-1]))
    known = tf.cast(faces[..., -1] != 0, tf.float32)
    near = _overlap(tf.stop_gradient(boxes)[:, :, None], faces[:, None, :, :4]) * known[:, None]
    asked = tf.maximum(found, tf.cast(tf.reduce_max(near, axis=-1) < _IGNORED, tf.float32))
    each = tf.nn.sigmoid_cross_entropy_with_logits(found, logits)
    return tf.reduce_sum(each * asked)


def _overlap(first: Any, second: Any, *, enclosing: bool = False) -> Any:
    """Intersection over union; with ``enclosing``, less the share of the box around both that neither fills."""
    left, top, right, bottom = tf.unstack(first, axis=-1)
    left2, top2, right2, bottom2 = tf.unstack(second, axis=-1)
    wide = tf.minimum(right, right2) - tf.maximum(left, left2)
    high = tf.minimum(bottom, bottom2) - tf.maximum(top, top2)
    common = tf.nn.relu(wide) * tf.nn.relu(high)
    both = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2) - common
    overlap = common / (both + _TINY)
    if not enclosing:
        return overlap
    around = (tf.maximum(right, right2) - tf.minimum(left, left2)) * (
        tf.maximum(bottom, bottom2) - tf.minimum(top, top2)
    )
    return overlap - (around - both) / (around + _TINY)
