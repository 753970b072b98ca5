"""A network in the style of YOLOv3 that finds faces on a whole photo and tells their emotions, in one pass.

Source: J. Redmon, A. Farhadi, "YOLOv3: An Incremental Improvement", arXiv:1804.02767: residual blocks of 1 x 1 and
3 x 3 convolutions, three scales, three anchors each, and for every anchor a box, whether it holds a face, and which
emotion it shows. It is narrower, and sees grey: the faces that it learned on have no colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import LABELS
from trigger_api.runtimes.detection_ops import batched_gather
from trigger_api.training.emotions.layers import Blocks, inherit

STRIDES = (8, 16, 32)
ANCHORS = (
    ((10, 13), (16, 21), (26, 33)),
    ((36, 46), (52, 66), (74, 94)),
    ((104, 132), (150, 190), (216, 275)),
)
"""Widths and heights in pixels, by stride."""
PER_PLACE = 3
FIELDS = 5 + len(LABELS)
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601: what red, green and blue give to brightness
_FACES_ARE_RARE = -4.0  # the logit that every place begins with
_LARGEST = 4.0  # logarithm of a box's size against its anchor's


@dataclass(frozen=True, slots=True)
class Plan:
    """Channels after each step by two, and how many residual blocks follow it."""

    widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 192)
    blocks: tuple[int, int, int, int, int] = (0, 1, 4, 4, 2)


def learner(plan: Plan) -> keras.Model:
    """Build the network to learn with: ``faces (batch, height, width, 1)`` grey photos 0..255, sides multiples of 32.

    Output: ``scores (batch, places * 3, 5 + 7)`` float32, before sigmoid and softmax; see ``decoded``.
    """
    photos = layers.Input((None, None, 1), name="faces", dtype="float32")
    return keras.Model({"faces": photos}, {"scores": _scores(photos, plan, learning=True)})


def server(plan: Plan, side: int, most: int) -> keras.Model:
    """Build the network to be stored, in float32.

    Input: ``image (batch, side, side, 3)`` uint8 RGB. Outputs, surest first: ``boxes (batch, most, 4)``, left, top,
    right and bottom in pixels of the image; ``scores (batch, most)``; ``emotions (batch, most, 7)``.

    A second look, at the mirror image half as large, costs a quarter of the first and is mistaken about other faces.
    """
    photos = layers.Input((None, None, 1), name="faces")
    network = keras.Model(photos, _scores(photos, plan, learning=False), name="look")
    image = layers.Input((side, side, 3), name="image", dtype="uint8")
    grey = ops.sum(ops.cast(image, "float32") * np.array(_GREY, np.float32), axis=3, keepdims=True)
    near = decoded(network(grey), side)
    turned, *said = decoded(network(ops.average_pool(ops.flip(grey, 2), 2)), side // 2)
    far = _unturned(turned, side), *said
    boxes, there, emotions = (ops.concatenate(two, axis=1) for two in zip(near, far, strict=True))
    scores, order = ops.top_k(there, most)
    tables = {"boxes": boxes, "emotions": emotions}
    found = {name: batched_gather(table, order, boxes.shape[1]) for name, table in tables.items()}
    return keras.Model({"image": image}, {"scores": scores, **found})


def stored(network: keras.Model, plan: Plan, *, side: int, most: int, temperature: float) -> keras.Model:
    """What a learner has learned, to be stored; the scores of emotions are divided by the temperature."""
    served = server(plan, side, most)
    give(served, network, temperature)
    return served


def give(served: keras.Model, network: keras.Model, temperature: float = 1.0) -> None:
    """Give a network that was built to be stored what a learner has learned."""
    own, other = _weighted(served.get_layer("look")), _weighted(network)
    scale = np.ones((PER_PLACE, FIELDS), np.float32)
    scale[:, 5:] /= temperature
    for layer, learned in zip(own, other, strict=True):
        values = learned.get_weights()
        layer.set_weights([x * scale.ravel() for x in values] if layer.name.startswith("anchors") else values)


def take_over(network: keras.Model, model: keras.Model) -> None:
    """Give a learner, which may be deeper, what a stored network has learned.

    Raises:
        ValueError: it is another network.
    """
    inherit(_weighted(network), _weighted(model.get_layer("look")))


def _weighted(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model.layers if layer.weights]


def decoded(scores: Any, side: int) -> tuple[Any, Any, Any]:
    """Boxes in pixels ``(batch, n, 4)``, probabilities of a face ``(batch, n)``, of emotions ``(batch, n, 7)``."""
    places, anchors, strides = grid(side)
    centre = (2 * ops.sigmoid(scores[:, :, :2]) - 0.5 + places) * strides
    half = ops.exp(ops.clip(scores[:, :, 2:4], -_LARGEST, _LARGEST)) * anchors / 2
    boxes = ops.concatenate([centre - half, centre + half], axis=2)
    return boxes, ops.sigmoid(scores[:, :, 4]), ops.softmax(scores[:, :, 5:], axis=2)


def _unturned(boxes: Any, side: int) -> Any:
    """Boxes seen in the mirror at half the size, as boxes of the picture itself, ``side`` pixels wide."""
    left, top, right, bottom = ops.split(2 * boxes, 4, axis=2)
    return ops.concatenate([side - right, top, side - left, bottom], axis=2)


Grid = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def grid(side: int) -> Grid:
    """For each score, by stride, row, column and anchor: its column and row ``(1, n, 2)``, anchor, and stride."""
    places, anchors, strides = [], [], []
    for stride, sizes in zip(STRIDES, ANCHORS, strict=True):
        count = side // stride
        columns, rows = np.meshgrid(np.arange(count), np.arange(count))
        places.append(np.stack([columns, rows], axis=-1).reshape(-1, 1, 2).repeat(PER_PLACE, 1).reshape(-1, 2))
        anchors.append(np.tile(np.array(sizes), (count * count, 1)))
        strides.append(np.full((count * count * PER_PLACE, 1), stride))
    one, two, three = (np.concatenate(x)[None].astype(np.float32) for x in (places, anchors, strides))
    return one, two, three


def _scores(photos: Any, plan: Plan, *, learning: bool) -> Any:
    blocks = Blocks(learning)
    seen = _backbone(ops.cast(photos, "float32") / 64 - 2, blocks, plan)
    fine, middle, coarse = seen
    third = blocks.conv(coarse, 128, 1)
    second = blocks.conv(_joined(third, middle, blocks, 64), 96, 1)
    second = blocks.conv(second, 128)
    first = blocks.conv(_joined(second, fine, blocks, 48), 64, 1)
    heads = [blocks.conv(x, width) for x, width in ((first, 96), (second, 160), (third, 192))]
    return ops.concatenate([_head(x, stride) for x, stride in zip(heads, STRIDES, strict=True)], axis=1)


def _backbone(x: Any, blocks: Blocks, plan: Plan) -> Sequence[Any]:
    stages = []
    for number, (width, count) in enumerate(zip(plan.widths, plan.blocks, strict=True)):
        x = blocks.conv(x, width, 6 if number == 0 else 3, strides=2)
        for _ in range(count):
            inner = blocks.conv(blocks.conv(x, width // 2, 1), width, linear=True)
            x = layers.ReLU()(layers.Add()([x, inner]))
        stages.append(x)
    return stages[2:]


def _joined(coarse: Any, fine: Any, blocks: Blocks, width: int) -> Any:
    return layers.Concatenate()([layers.UpSampling2D()(blocks.conv(coarse, width, 1)), fine])


def _head(x: Any, stride: int) -> Any:
    bias = np.zeros((PER_PLACE, FIELDS), np.float32)
    bias[:, 4] = _FACES_ARE_RARE
    start = keras.initializers.Constant(bias.ravel().tolist())
    width = PER_PLACE * FIELDS
    x = layers.Conv2D(width, 1, bias_initializer=start, dtype="float32", name=f"anchors{stride}")(x)
    return layers.Reshape((-1, FIELDS), dtype="float32")(x)
