"""Before and after a detector's network, as Keras operations: letterbox, and which boxes count.

Everything is built-in operations of fixed shapes, so that with its network it is one compiled function, TensorFlow's or
ONNX Runtime's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

CANVAS = 640
"""Pixels of the square that photos are handed in on; larger photos are made smaller before."""
FOUND = 100
"""Boxes in an answer."""
_CANDIDATES = 256  # boxes of the highest scores, which suppress each other
_THINNEST = 1e-6  # of the photo's width or height: a box beside the photo has nothing on it
_ROUNDS = 32  # of suppression: as many boxes in a row as each may suppress the next


def fitted(size: Any, side: int) -> tuple[Any, Any]:
    """The photos' heights and widths ``(batch, 2)``, and what multiplies them to fit ``side``, ``(batch, 1)``.

    Args:
        size: what the caller says they are, int32; nothing beyond the canvas is ever looked at.
        side: of the square that they go into, pixels.
    """
    from keras import ops

    extent = ops.cast(ops.clip(size, 1, CANVAS), "float32")
    return extent, side / ops.max(extent, axis=1, keepdims=True)


def letterbox(photo: Any, extent: Any, scale: Any, side: int) -> Any:
    """Photos on grey canvases ``(batch, CANVAS, CANVAS, 3)`` scaled to fit ``side``, bilinearly.

    Args:
        photo: the canvases, uint8.
        extent: the photos' heights and widths there, ``(batch, 2)``.
        scale: what they are multiplied by, ``(batch, 1)``.
        side: of the square that comes out, pixels.
    """
    from keras import ops

    above, below, down = _neighbours(extent[:, :1], scale, side)
    left, right, across = _neighbours(extent[:, 1:], scale, side)
    rows = ops.reshape(photo, (-1, CANVAS, CANVAS * 3))
    high = _mixed(taken(rows, above, CANVAS), taken(rows, below, CANVAS), down[:, :, None])
    pixels = ops.reshape(high, (-1, side * CANVAS, 3))
    first, second = (
        ops.reshape(taken(pixels, _in_every_line(columns, side), side * CANVAS), (-1, side, side * 3))
        for columns in (left, right)
    )
    return ops.reshape(_mixed(first, second, ops.repeat(across, 3, axis=1)[:, None]), (-1, side, side, 3))


def _neighbours(count: Any, scale: Any, side: int) -> tuple[Any, Any, Any]:
    """For each of ``side`` places the two of ``count`` pixels it lies between, and the second one's share.

    Where the photo has ended it is the canvas's last pixel: that is grey, unless the photo fills the canvas.
    """
    from keras import ops

    places = np.arange(side, dtype=np.float32)[None]
    inside = ops.floor(count * scale) > places
    place = ops.minimum(ops.maximum(1 / scale * (places + 0.5) - 0.5, 0.0), count - 1)
    first = ops.floor(place)
    ends = [ops.where(inside, pixel, CANVAS - 1.0) for pixel in (first, ops.minimum(first + 1, count - 1))]
    return ops.cast(ends[0], "int32"), ops.cast(ends[1], "int32"), place - first


def _in_every_line(columns: Any, side: int) -> Any:
    """The places of these columns in each of ``side`` lines that lie one after the other."""
    from keras import ops

    back = -CANVAS * np.arange(side, dtype=np.int32)[None, :, None]
    return ops.reshape(columns[:, None] - back, (-1, side * side))  # not "+": Keras would take it for a bias


def _mixed(first: Any, second: Any, share: Any) -> Any:
    from keras import ops

    first, second = ops.cast(first, "float32"), ops.cast(second, "float32")
    return first + (second - first) * share


def selected(boxes: Any, logits: Any, scores: Any, limits: Any) -> dict[str, Any]:
    """What counts of all boxes, those of the highest scores first.

    Greedy non-maximum suppression within each class: a box stays unless one that stays, of its class and a higher
    score, overlaps it too much. Beginning with all of them, each round puts one more box of every row of overlapping
    boxes right, until nothing changes.

    Args:
        boxes: ``(batch, n, 4)``: left, top, right and bottom as fractions of the photo.
        logits: ``(batch, n, classes)``.
        scores: ``(batch, n)``, of each box's best class.
        limits: ``(batch, 4)``: the least score, the largest intersection over union of two boxes of a class, the least
            height and the least width as fractions of the photo.

    Returns:
        ``boxes (batch, FOUND, 4)``, ``scores (batch, FOUND)``, 0 where nothing more was found, and ``classes`` alike.
    """
    from keras import ops

    count, most = scores.shape[1], min(_CANDIDATES, scores.shape[1])
    scores, order = ops.top_k(_filtered(boxes, scores, limits), most)
    boxes = taken(boxes, order, count)
    classes = ops.top_k(taken(logits, order, count), 1)[1]  # the first of the largest: an argmax that ONNX can have
    same = ops.equal(classes, ops.transpose(classes, (0, 2, 1)))
    rivals = ops.logical_and(_overlaps(boxes) > limits[:, 1, None, None], same)
    beats = ops.cast(rivals, "float32") * np.tri(most, k=-1, dtype=np.float32)
    kept = ops.ones_like(scores)
    for _ in range(_ROUNDS):
        kept = ops.cast(ops.matmul(beats, kept[:, :, None])[:, :, 0] < 0.5, "float32")
    scores, order = ops.top_k(scores * kept, FOUND)
    found = taken(classes, order, most)[:, :, 0]
    return {"boxes": taken(boxes, order, most), "scores": scores, "classes": ops.cast(found, "int32")}


def _filtered(boxes: Any, scores: Any, limits: Any) -> Any:
    """The scores, 0 where a box is too unlikely or too small."""
    from keras import ops

    least = ops.maximum(limits, _THINNEST)
    wide_enough = boxes[:, :, 2] - boxes[:, :, 0] >= least[:, 3:]
    high_enough = boxes[:, :, 3] - boxes[:, :, 1] >= least[:, 2:3]
    kept = ops.logical_and(ops.logical_and(wide_enough, high_enough), scores >= limits[:, :1])
    return scores * ops.cast(kept, "float32")


def _overlaps(boxes: Any) -> Any:
    """Intersection over union of all pairs, ``(batch, n, n)``."""
    from keras import ops

    left, top, right, bottom = (boxes[:, :, edge] for edge in range(4))
    areas = (right - left) * (bottom - top)
    common = _shared(left, right) * _shared(top, bottom)
    both = areas[:, :, None] - ops.negative(areas)[:, None, :]  # not "+": Keras would take it for a bias
    return common / ops.maximum(both - common, 1e-9)


def _shared(low: Any, high: Any) -> Any:
    """How much of each other's length all pairs have in common."""
    from keras import ops

    ends = ops.minimum(high[:, :, None], high[:, None]) - ops.maximum(low[:, :, None], low[:, None])
    return ops.maximum(ends, 0.0)


def taken(table: Any, index: Any, count: int) -> Any:
    """Row ``index[b, i]`` of each ``table[b]``, of ``count``: one look-up, which every runtime has."""
    from keras import ops

    batch = ops.cumsum(ops.ones_like(index[:, :1]), axis=0) - 1
    flat = ops.reshape(table, (-1, table.shape[2]))
    found = ops.take(flat, ops.reshape(index + batch * count, (-1,)), axis=0)
    return ops.reshape(found, (-1, index.shape[1], table.shape[2]))
