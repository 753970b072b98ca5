"""The whole detector as one Keras model: letterbox, network, decoding, non-maximum suppression.

Everything is built-in Keras operations of fixed shapes, so that a batch is one compiled function, TensorFlow's or ONNX
Runtime's, and a ``.keras`` file holds all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trigger_api.training.objects.network import SIDE, STRIDES, build_network

if TYPE_CHECKING:
    import keras

CANVAS = 640
"""Pixels of the square that photos are handed in on; larger photos are made smaller before."""
FOUND = 100
"""Boxes in an answer."""
_CANDIDATES = 256  # boxes of the highest scores, which suppress each other
_ROUNDS = 32  # of suppression: as many boxes in a row as each may suppress the next
_GREY = 114.0  # what the network was taught is no picture


def build_detector(network: keras.Model | None = None, *, side: int = SIDE) -> keras.Model:
    """Photos to boxes.

    Inputs, without their batch axis: ``photo (640, 640, 3)`` uint8 RGB, the photo in its top left corner; ``size (2,)``
    int32, the photo's height and width there; ``limits (4,)``: the least score, the largest intersection over union of
    two boxes of a class, the least height and the least width as fractions of the photo.

    Outputs: ``boxes (100, 4)``, left, top, right and bottom as fractions of the photo; ``scores (100,)``, falling, 0
    where nothing more was found; ``classes (100,)`` int32.
    """
    from keras import Model, layers, ops

    network = network or build_network()
    photo = layers.Input((CANVAS, CANVAS, 3), dtype="uint8", name="photo")
    size = layers.Input((2,), dtype="int32", name="size")
    limits = layers.Input((4,), name="limits")
    extent = ops.cast(ops.maximum(size, 1), "float32")
    scale = side / ops.max(extent, axis=1, keepdims=True)
    cells = network(letterbox(photo, extent, scale, side))
    boxes, scores = _decoded(cells, extent * scale, side)
    outputs = _suppressed(boxes, _filtered(boxes, scores, limits), cells[:, :, 5:], limits)
    return Model([photo, size, limits], dict(zip(("boxes", "scores", "classes"), outputs, strict=True)))


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
    high = _mixed(_rows(rows, above, CANVAS), _rows(rows, below, CANVAS), down[:, :, None])
    pixels = ops.reshape(high, (-1, side * CANVAS, 3))
    first, second = (
        ops.reshape(_rows(pixels, _in_every_line(columns, side), side * CANVAS), (-1, side, side * 3))
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


def _filtered(boxes: Any, scores: Any, limits: Any) -> Any:
    """The scores, 0 where a box is too unlikely or too small."""
    from keras import ops

    wide_enough = boxes[:, :, 2] - boxes[:, :, 0] >= limits[:, 3:]
    high_enough = boxes[:, :, 3] - boxes[:, :, 1] >= limits[:, 2:3]
    kept = ops.logical_and(ops.logical_and(wide_enough, high_enough), scores >= limits[:, :1])
    return scores * ops.cast(kept, "float32")


def _suppressed(boxes: Any, scores: Any, logits: Any, limits: Any) -> tuple[Any, Any, Any]:
    """Greedy non-maximum suppression within each class, and what it leaves, highest score first.

    A box stays unless one that stays, of its class and a higher score, overlaps it too much. Beginning with all of
    them, each round puts one more box of every row of overlapping boxes right, until nothing changes.
    """
    from keras import ops

    cells = scores.shape[1]
    scores, order = ops.top_k(scores, _CANDIDATES)
    boxes = _rows(boxes, order, cells)
    classes = ops.top_k(_rows(logits, order, cells), 1)[1]  # the first of the largest: an argmax that ONNX can have
    same = ops.equal(classes, ops.transpose(classes, (0, 2, 1)))
    rivals = ops.logical_and(_overlaps(boxes) > limits[:, 1, None, None], same)
    earlier = np.tri(_CANDIDATES, k=-1, dtype=np.float32)
    beats = ops.cast(rivals, "float32") * earlier
    kept = ops.ones_like(scores)
    for _ in range(_ROUNDS):
        kept = ops.cast(ops.matmul(beats, kept[:, :, None])[:, :, 0] < 0.5, "float32")
    scores, order = ops.top_k(scores * kept, FOUND)
    return _rows(boxes, order, _CANDIDATES), scores, _rows(classes, order, _CANDIDATES)[:, :, 0]


def _overlaps(boxes: Any) -> Any:
    """Intersection over union of all pairs, ``(batch, n, n)``."""
    from keras import ops

    low = ops.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = ops.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    sides = ops.maximum(high - low, 0.0)
    common = sides[..., 0] * sides[..., 1]
    areas = (boxes[:, :, 2] - boxes[:, :, 0]) * (boxes[:, :, 3] - boxes[:, :, 1])
    both = areas[:, :, None] - ops.negative(areas)[:, None, :]  # not "+": Keras would take it for a bias
    return common / ops.maximum(both - common, 1e-9)


def _rows(table: Any, index: Any, count: int) -> Any:
    """Row ``index[b, i]`` of each ``table[b]``, of ``count``: one look-up, which every runtime has."""
    from keras import ops

    batch = ops.cumsum(ops.ones_like(index[:, :1]), axis=0) - 1
    flat = ops.reshape(table, (-1, table.shape[2]))
    taken = ops.take(flat, ops.reshape(index + batch * count, (-1,)), axis=0)
    return ops.reshape(taken, (-1, index.shape[1], table.shape[2]))
