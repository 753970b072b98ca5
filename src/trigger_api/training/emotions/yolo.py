"""A network in the style of YOLOv3 that finds faces on a whole photo and classifies their emotions, in one pass.

Source: J. Redmon, A. Farhadi, "YOLOv3: An Incremental Improvement", arXiv:1804.02767: residual blocks of 1 x 1 and
3 x 3 convolutions, three scales, three anchors each, and for every anchor a box, the objectness of
a face, and its emotion. It is narrower, and works in grey: the faces that it is trained on have no colours.
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
from trigger_api.training.emotions.layers import Blocks, copy_weights
from trigger_api.training.grid import STRIDES, cell_counts, grid

ANCHORS = (
    ((10, 13), (16, 21), (26, 33)),
    ((36, 46), (52, 66), (74, 94)),
    ((104, 132), (150, 190), (216, 275)),
)
"""Widths and heights in pixels, by stride."""
PER_CELL = 3
FIELDS = 5 + len(LABELS)
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: what red, green and blue add to brightness
_DETECTOR = "look"  # its name in the bundled model
_OBJECTNESS_BIAS = -4.0  # faces are rare
_MAX_LOG_SCALE = 4.0  # of a box against its anchor


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Channels of each stage, and how many residual blocks it has; every stage halves the picture."""

    widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 192)
    blocks: tuple[int, int, int, int, int] = (0, 1, 4, 4, 2)


def training_model(model_config: ModelConfig) -> keras.Model:
    """Build the network to train: ``faces (batch, height, width, 1)`` grey photos 0..255, sides multiples of 32.

    Output: ``scores (batch, cells * 3, 5 + 7)`` float32, before sigmoid and softmax; see ``decode``.
    """
    photos = layers.Input((None, None, 1), name="faces", dtype="float32")
    return keras.Model({"faces": photos}, {"scores": _scores(photos, model_config, training=True)})


def inference_model(model_config: ModelConfig, side: int, most: int) -> keras.Model:
    """Build the network to serve, in float32.

    Input: ``image (batch, side, side, 3)`` uint8 RGB. Outputs, highest scores first: ``boxes (batch, most, 4)``, left,
    top, right and bottom in pixels of the image; ``scores (batch, most)``; ``emotions (batch, most, 7)``.

    A second pass, over the mirror image at half the size, costs a quarter of the first and makes other mistakes.
    """
    photos = layers.Input((None, None, 1), name="faces")
    network = keras.Model(photos, _scores(photos, model_config, training=False), name=_DETECTOR)
    image = layers.Input((side, side, 3), name="image", dtype="uint8")
    grey = ops.sum(ops.cast(image, "float32") * np.array(_LUMA, np.float32), axis=3, keepdims=True)
    whole = decode(network(grey), side)
    mirrored, *rest = decode(network(ops.average_pool(ops.flip(grey, 2), 2)), side // 2)
    half = _mirror_back(mirrored, side), *rest
    boxes, objectness, emotions = (ops.concatenate(both, axis=1) for both in zip(whole, half, strict=True))
    scores, order = ops.top_k(objectness, most)
    tables = {"boxes": boxes, "emotions": emotions}
    found = {name: batched_gather(table, order, boxes.shape[1]) for name, table in tables.items()}
    return keras.Model({"image": image}, {"scores": scores, **found})


def export_model(
    network: keras.Model, model_config: ModelConfig, *, side: int, most: int, temperature: float
) -> keras.Model:
    """The model to serve, of a trained one; the logits of emotions are divided by the temperature."""
    served = inference_model(model_config, side, most)
    sync_weights(served, network, temperature)
    return served


def sync_weights(served: keras.Model, network: keras.Model, temperature: float = 1.0) -> None:
    """Copy the weights of a trained model to one to serve; the logits of emotions are divided by the temperature."""
    targets, sources = _weighted(served.get_layer(_DETECTOR)), _weighted(network)
    scale = np.ones((PER_CELL, FIELDS), np.float32)
    scale[:, 5:] /= temperature
    for layer, source in zip(targets, sources, strict=True):
        values = source.get_weights()
        layer.set_weights([x * scale.ravel() for x in values] if layer.name.startswith("anchors") else values)


def transfer_weights(network: keras.Model, model: keras.Model) -> None:
    """Copy the weights of a served model to one to train, which may be deeper.

    Raises:
        ValueError: it has another architecture.
    """
    copy_weights(_weighted(network), _weighted(model.get_layer(_DETECTOR)))


def _weighted(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model.layers if layer.weights]


def decode(scores: Any, side: int) -> tuple[Any, Any, Any]:
    """Boxes in pixels ``(batch, n, 4)``, probabilities of a face ``(batch, n)``, of emotions ``(batch, n, 7)``."""
    corners, anchors, strides = anchor_grid(side)
    centre = (2 * ops.sigmoid(scores[:, :, :2]) - 0.5 + corners) * strides
    half = ops.exp(ops.clip(scores[:, :, 2:4], -_MAX_LOG_SCALE, _MAX_LOG_SCALE)) * anchors / 2
    boxes = ops.concatenate([centre - half, centre + half], axis=2)
    return boxes, ops.sigmoid(scores[:, :, 4]), ops.softmax(scores[:, :, 5:], axis=2)


def _mirror_back(boxes: Any, side: int) -> Any:
    """Boxes of the mirror image at half the size, as boxes of the picture, ``side`` pixels wide."""
    left, top, right, bottom = ops.split(2 * boxes, 4, axis=2)
    return ops.concatenate([side - right, top, side - left, bottom], axis=2)


def anchor_grid(side: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """For each score, by stride, row, column and anchor: its cell's corner ``(1, n, 2)``, its anchor, its stride."""
    corners, strides = (np.repeat(each, PER_CELL, axis=1) for each in grid(side))
    anchors = [np.tile(sizes, (count, 1)) for sizes, count in zip(ANCHORS, cell_counts(side), strict=True)]
    return corners, np.concatenate(anchors)[None].astype(np.float32), strides


def _scores(photos: Any, model_config: ModelConfig, *, training: bool) -> Any:
    blocks = Blocks(training)
    fine, middle, coarse = _backbone(ops.cast(photos, "float32") / 64 - 2, blocks, model_config)
    third = blocks.conv(coarse, 128, 1)
    second = blocks.conv(_merge(third, middle, blocks, 64), 96, 1)
    second = blocks.conv(second, 128)
    first = blocks.conv(_merge(second, fine, blocks, 48), 64, 1)
    heads = [blocks.conv(x, width) for x, width in ((first, 96), (second, 160), (third, 192))]
    return ops.concatenate([_head(x, stride) for x, stride in zip(heads, STRIDES, strict=True)], axis=1)


def _backbone(x: Any, blocks: Blocks, model_config: ModelConfig) -> Sequence[Any]:
    stages = []
    for number, (width, count) in enumerate(zip(model_config.widths, model_config.blocks, strict=True)):
        x = blocks.conv(x, width, 6 if number == 0 else 3, strides=2)
        for _ in range(count):
            inner = blocks.conv(blocks.conv(x, width // 2, 1), width, linear=True)
            x = layers.ReLU()(layers.Add()([x, inner]))
        stages.append(x)
    return stages[2:]


def _merge(coarse: Any, fine: Any, blocks: Blocks, width: int) -> Any:
    return layers.Concatenate()([layers.UpSampling2D()(blocks.conv(coarse, width, 1)), fine])


def _head(x: Any, stride: int) -> Any:
    bias = np.zeros((PER_CELL, FIELDS), np.float32)
    bias[:, 4] = _OBJECTNESS_BIAS
    start = keras.initializers.Constant(bias.ravel().tolist())
    width = PER_CELL * FIELDS
    x = layers.Conv2D(width, 1, bias_initializer=start, dtype="float32", name=f"anchors{stride}")(x)
    return layers.Reshape((-1, FIELDS), dtype="float32")(x)
