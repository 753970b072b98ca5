"""The network: YOLOX-Nano in plain Keras layers.

Source: Z. Ge, S. Liu, F. Wang, Z. Li, J. Sun, "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430. A backbone of
cross-stage partial blocks gives features at strides of 8, 16 and 32 pixels, a path aggregation network mixes them, and
a decoupled head predicts for each cell of each a box, its objectness, and its class. Batch
normalisation is folded into the convolutions; "focus" and its first convolution are one of 6 x 6 pixels with stride 2.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from trigger_api.training.grid import STRIDES

SIDE = 416
CLASSES = 80
_WIDTHS = (32, 64, 128, 256)  # of the stages dark2 to dark5
_HEAD_WIDTH = 64


def build_network(classes: int = CLASSES) -> keras.Model:
    """From RGB pictures ``(batch, side, side, 3)``, 0-255, side a multiple of 32, to ``(batch, cells, 5 + classes)``.

    A cell's numbers are the box's centre against the cell's corner and the logarithm of its size, both in strides, the
    logit of there being an object, and a logit for each class. Cells go by stride, then row by row.
    """
    pictures = layers.Input((None, None, 3), name="pictures")
    cells = _Network(classes).cells(pictures)
    return keras.Model(pictures, layers.Concatenate(axis=1, name="cells")(cells), name="yolox_nano")


class _Network:
    """Builds layers; convolutions are numbered in the order of the published network."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._made = 0

    def cells(self, pictures: Any) -> list[Any]:
        pyramid = self._pyramid(*self._backbone(pictures))
        return [self._head(features, stride) for features, stride in zip(pyramid, STRIDES, strict=True)]

    def _backbone(self, pictures: Any) -> list[Any]:
        x = self._conv(pictures, 16, 6, strides=2, place="stem")
        stages = []
        for width, depth, stage in zip(_WIDTHS, (1, 3, 3, 1), ("dark2", "dark3", "dark4", "dark5"), strict=True):
            x = self._depthwise(x, width, strides=2, place=stage)
            if stage == "dark5":
                x = self._spatial_pyramid(x, width)
            x = self._partial(x, width, depth, residual=stage != "dark5", place=stage)
            stages.append(x)
        return stages[1:]

    def _pyramid(self, fine: Any, middle: Any, coarse: Any) -> list[Any]:
        """From coarse features down to fine ones, and up again."""
        join, upsample = layers.Concatenate, layers.UpSampling2D
        lateral = self._conv(coarse, 128, place="down")
        x = self._partial(join()([upsample()(lateral), middle]), 128, place="down")
        reduced = self._conv(x, 64, place="down")
        first = self._partial(join()([upsample()(reduced), fine]), 64, place="down")
        x = self._depthwise(first, 64, strides=2, place="up")
        second = self._partial(join()([x, reduced]), 128, place="up")
        x = self._depthwise(second, 128, strides=2, place="up")
        third = self._partial(join()([x, lateral]), 256, place="up")
        return [first, second, third]

    def _head(self, features: Any, stride: int) -> Any:
        place = f"head{stride}"
        stem = self._conv(features, _HEAD_WIDTH, place=place)
        x = self._twice(stem, place)
        classes = self._prediction(x, self._classes, place)
        x = self._twice(stem, place)
        box, objectness = self._prediction(x, 4, place), self._prediction(x, 1, place)
        joined = layers.Concatenate()([box, objectness, classes])
        return layers.Reshape((-1, 5 + self._classes))(joined)

    def _twice(self, x: Any, place: str) -> Any:
        for _ in range(2):
            x = self._depthwise(x, _HEAD_WIDTH, place=place)
        return x

    def _spatial_pyramid(self, x: Any, width: int) -> Any:
        """Maxima over 5, 9 and 13 pixels: each pools the one before over 5 pixels."""
        pooled = [self._conv(x, width // 2, place="dark5")]
        for _ in range(3):
            pooled.append(layers.MaxPooling2D(5, strides=1, padding="same")(pooled[-1]))
        return self._conv(layers.Concatenate()(pooled), width, place="dark5")

    def _partial(self, x: Any, width: int, depth: int = 1, *, residual: bool = False, place: str) -> Any:
        """A cross-stage partial block: half of the channels pass through bottlenecks, half bypass them."""
        main, aside = self._conv(x, width // 2, place=place), self._conv(x, width // 2, place=place)
        for _ in range(depth):
            inner = self._depthwise(self._conv(main, width // 2, place=place), width // 2, place=place)
            main = layers.Add()([inner, main]) if residual else inner
        return self._conv(layers.Concatenate()([main, aside]), width, place=place)

    def _depthwise(self, x: Any, width: int, *, strides: int = 1, place: str) -> Any:
        if strides > 1:  # padded at the top and the left, where Keras itself would pad the other sides
            x = layers.ZeroPadding2D(((1, 0), (1, 0)))(x)
        padding = "same" if strides == 1 else "valid"
        options = {"strides": strides, "padding": padding, "activation": "silu", "name": self._name(place)}
        return self._conv(layers.DepthwiseConv2D(3, **options)(x), width, place=place)

    def _conv(self, x: Any, width: int, size: int = 1, *, strides: int = 1, place: str) -> Any:
        options = {"strides": strides, "padding": "same", "activation": "silu", "name": self._name(place)}
        return layers.Conv2D(width, size, **options)(x)

    def _prediction(self, x: Any, width: int, place: str) -> Any:
        return layers.Conv2D(width, 1, name=self._name(place))(x)

    def _name(self, place: str) -> str:
        self._made += 1
        return f"conv{self._made:03d}_{place}"


def convolutions(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers with weights, in the order of the published network."""
    return sorted((layer for layer in network.layers if layer.name.startswith("conv")), key=lambda layer: layer.name)
