"""What comes before and after a detection network, as Keras operations: letterbox and non-maximum suppression.

Everything is built-in operations of fixed shapes, so that together with the network it is one compiled function, of
TensorFlow or ONNX Runtime.
"""

from __future__ import annotations

from typing import Any

import numpy as np

CANVAS = 640
"""Side of the square canvas on which photos are passed in, pixels; larger photos are reduced before."""
MAX_DETECTIONS = 100
"""Boxes in an answer."""
_MAX_CANDIDATES = 256  # boxes with the highest scores, which may suppress each other
_MIN_SIDE = 1e-6  # of the photo's width or height: a box outside the photo has no area on it
_ROUNDS = 32  # of suppression: the longest chain of boxes that each overlap the next


def scale_to_fit(size: Any, side: int) -> tuple[Any, Any]:
    """The photos' heights and widths ``(batch, 2)``, and the factors that fit them into ``side``, ``(batch, 1)``.

    Args:
        size: heights and widths as the caller states them, int32; they are clipped to the canvas.
        side: of the square to fit into, pixels.
    """
    from keras import ops

    extent = ops.cast(ops.clip(size, 1, CANVAS), "float32")
    return extent, side / ops.max(extent, axis=1, keepdims=True)


def letterbox(photo: Any, extent: Any, scale: Any, side: int) -> Any:
    """Photos on grey canvases, scaled bilinearly to fit ``side``: ``(batch, side, side, 3)``.

    Args:
        photo: the canvases, uint8 ``(batch, CANVAS, CANVAS, 3)``.
        extent: the photos' heights and widths on them, ``(batch, 2)``.
        scale: factors, ``(batch, 1)``.
        side: of the resulting square, pixels.
    """
    from keras import ops

    top, bottom, y_weight = _neighbours(extent[:, :1], scale, side)
    left, right, x_weight = _neighbours(extent[:, 1:], scale, side)
    rows = ops.reshape(photo, (-1, CANVAS, CANVAS * 3))
    rows = _interpolate(batched_gather(rows, top, CANVAS), batched_gather(rows, bottom, CANVAS), y_weight[:, :, None])
    pixels = ops.reshape(rows, (-1, side * CANVAS, 3))
    first, second = (
        ops.reshape(batched_gather(pixels, _in_every_row(columns, side), side * CANVAS), (-1, side, side * 3))
        for columns in (left, right)
    )
    weight = ops.repeat(x_weight, 3, axis=1)[:, None]
    return ops.reshape(_interpolate(first, second, weight), (-1, side, side, 3))


def _neighbours(count: Any, scale: Any, side: int) -> tuple[Any, Any, Any]:
    """For each of ``side`` output pixels, the two of ``count`` pixels around it and the weight of the second.

    Beyond the photo it is the last pixel of the canvas, which is grey unless the photo fills the canvas.
    """
    from keras import ops

    outputs = np.arange(side, dtype=np.float32)[None]
    inside = ops.floor(count * scale) > outputs
    position = ops.minimum(ops.maximum(1 / scale * (outputs + 0.5) - 0.5, 0.0), count - 1)
    first = ops.floor(position)
    ends = [ops.where(inside, pixel, CANVAS - 1.0) for pixel in (first, ops.minimum(first + 1, count - 1))]
    return ops.cast(ends[0], "int32"), ops.cast(ends[1], "int32"), position - first


def _in_every_row(columns: Any, side: int) -> Any:
    """Flat indices of these columns in each of ``side`` rows."""
    from keras import ops

    offsets = -CANVAS * np.arange(side, dtype=np.int32)[None, :, None]
    return ops.reshape(columns[:, None] - offsets, (-1, side * side))  # not "+": Keras would take it for a bias


def _interpolate(first: Any, second: Any, weight: Any) -> Any:
    from keras import ops

    first, second = ops.cast(first, "float32"), ops.cast(second, "float32")
    return first + (second - first) * weight


def non_max_suppression(boxes: Any, logits: Any, scores: Any, limits: Any) -> dict[str, Any]:
    """Greedy non-maximum suppression within each class; the boxes that remain, highest scores first.

    A box is suppressed by a remaining box of its class with a higher score that overlaps it too much. Starting from
    all boxes, each round settles one more box of every chain of overlapping boxes.

    Args:
        boxes: ``(batch, n, 4)``: left, top, right and bottom as fractions of the photo.
        logits: ``(batch, n, classes)``.
        scores: ``(batch, n)``, of each box's best class.
        limits: ``(batch, 4)``: the lowest score, the largest intersection over union of two boxes of a class, the
            smallest height and the smallest width as fractions of the photo.

    Returns:
        ``boxes (batch, MAX_DETECTIONS, 4)``, ``scores (batch, MAX_DETECTIONS)``, 0 in unused rows, and ``classes`` of
        the same shape.
    """
    from keras import ops

    count, candidates = scores.shape[1], min(_MAX_CANDIDATES, scores.shape[1])
    scores, order = ops.top_k(_filter_boxes(boxes, scores, limits), candidates)
    boxes = batched_gather(boxes, order, count)
    classes = ops.top_k(batched_gather(logits, order, count), 1)[1]  # an argmax that ONNX has too
    scores = scores * _not_suppressed(boxes, classes, scores, limits[:, 1, None, None])
    scores, order = ops.top_k(scores, MAX_DETECTIONS)
    kept = batched_gather(classes, order, candidates)[:, :, 0]
    return {"boxes": batched_gather(boxes, order, candidates), "scores": scores, "classes": ops.cast(kept, "int32")}


def _not_suppressed(boxes: Any, classes: Any, scores: Any, iou_threshold: Any) -> Any:
    """1 for boxes that remain, 0 for those that are suppressed; boxes are sorted by score."""
    from keras import ops

    same_class = ops.equal(classes, ops.transpose(classes, (0, 2, 1)))
    overlapping = ops.logical_and(_iou(boxes) > iou_threshold, same_class)
    by_better = ops.cast(overlapping, "float32") * np.tri(boxes.shape[1], k=-1, dtype=np.float32)
    kept = ops.ones_like(scores)
    for _ in range(_ROUNDS):
        kept = ops.cast(ops.matmul(by_better, kept[:, :, None])[:, :, 0] < 0.5, "float32")
    return kept


def _filter_boxes(boxes: Any, scores: Any, limits: Any) -> Any:
    """The scores, 0 where a box is too unlikely or too small."""
    from keras import ops

    smallest = ops.maximum(limits, _MIN_SIDE)
    wide_enough = boxes[:, :, 2] - boxes[:, :, 0] >= smallest[:, 3:]
    high_enough = boxes[:, :, 3] - boxes[:, :, 1] >= smallest[:, 2:3]
    kept = ops.logical_and(ops.logical_and(wide_enough, high_enough), scores >= limits[:, :1])
    return scores * ops.cast(kept, "float32")


def _iou(boxes: Any) -> Any:
    """Intersection over union of all pairs, ``(batch, n, n)``."""
    from keras import ops

    left, top, right, bottom = (boxes[:, :, edge] for edge in range(4))
    areas = (right - left) * (bottom - top)
    intersection = _overlap(left, right) * _overlap(top, bottom)
    both = areas[:, :, None] - ops.negative(areas)[:, None, :]  # not "+": Keras would take it for a bias
    return intersection / ops.maximum(both - intersection, 1e-9)


def _overlap(low: Any, high: Any) -> Any:
    """The length that all pairs of intervals have in common."""
    from keras import ops

    ends = ops.minimum(high[:, :, None], high[:, None]) - ops.maximum(low[:, :, None], low[:, None])
    return ops.maximum(ends, 0.0)


def batched_gather(table: Any, index: Any, count: int) -> Any:
    """Rows ``index[b, i]`` of each ``table[b]``, which has ``count`` rows: one flat look-up, for every runtime."""
    from keras import ops

    batch = ops.cumsum(ops.ones_like(index[:, :1]), axis=0) - 1
    flat = ops.reshape(table, (-1, table.shape[2]))
    rows = ops.take(flat, ops.reshape(index + batch * count, (-1,)), axis=0)
    return ops.reshape(rows, (-1, index.shape[1], table.shape[2]))
