"""The three networks of MTCNN (Zhang et al., 2016) in plain Keras, for their published weights.

They compute what was published, in fewer operations. Pixels come as 0..255, and the first kernels scale them. PReLU is
the larger of a value and its product with the slope. In the first and widest layers it comes after pooling, on a
quarter of the values: the maximum over some values decides what PReLU makes of them; where the slope is negative, the
minimum does so as well, so that such channels are computed with both signs. The score of a face is one number: the
softmax of two is the sigmoid of their difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Array = NDArray[np.float32]
Weights = Sequence[Array]
"""A network's arrays in the order of its layers: kernels, biases and slopes of PReLU."""


_VECTOR = 16  # channels that processors compute at once, to whose multiples channels are padded


def build_pnet(weights: Weights) -> keras.Model:
    """Build P-Net, which scores every 12 x 12 pixels, two pixels apart.

    Input: ``canvas (batch, 4, side, side)``, whose last plane is 255 beyond a picture whose sides are odd: pooling
    ignores what the first layer sees there. Outputs: ``scores (batch, cells, cells)`` and ``offsets (batch, 4, cells,
    cells)`` of the box's left, top, right and bottom edges as shares of the 12 pixels.
    """
    from keras import Model, layers, ops

    arrays = _Arrays(weights)
    canvas = layers.Input((4, None, None), name="canvas")
    x = _pooled(ops.transpose(canvas, (0, 2, 3, 1)), arrays, 2, marked=True)
    x, slope = _layer(_convolved(x, arrays), *arrays.layer()), arrays.slope()[:, None]
    kernels, biases = zip(arrays.layer(), arrays.difference(), strict=True)
    kernel, bias = np.concatenate(kernels, axis=3), np.concatenate(biases)
    # What follows PReLU is linear: it takes the values and their positive parts, each with a share of its kernel.
    found = _layer(x, kernel * slope, bias) + _layer(ops.relu(x), kernel * (1 - slope), 0 * bias)
    found = ops.transpose(found, (0, 3, 1, 2))
    return Model(canvas, {"scores": ops.sigmoid(found[:, 4]), "offsets": found[:, :4]})


def build_rnet(weights: Weights, many: int) -> keras.Model:
    """Build R-Net, which scores ``many`` crops of 24 x 24 pixels at once, ``crops (batch, many, 3, 24, 24)``.

    Outputs: ``scores (batch, many)`` and ``offsets (batch, many, 4)`` as shares of the crop's sides.
    """
    from keras import layers

    arrays = _Arrays(weights)
    crops, x = _crops(24, many)
    x = _convolved(_pooled(x, arrays, 3), arrays)
    x = _convolved(layers.MaxPooling2D(3, 2)(x), arrays)
    return _outputs(crops, _connected(x, arrays), arrays, many, ("offsets",))


def build_onet(weights: Weights, many: int) -> keras.Model:
    """Build O-Net: like ``build_rnet``, for crops of 48 x 48 pixels, and with ``landmarks (batch, many, 10)``.

    These are the x, then the y of eyes, nose and corners of the mouth, as shares of the crop's sides.
    """
    from keras import layers

    arrays = _Arrays(weights)
    crops, x = _crops(48, many)
    x = _convolved(_pooled(x, arrays, 3), arrays)
    x = _convolved(layers.MaxPooling2D(3, 2)(x), arrays)
    x = _convolved(layers.MaxPooling2D(2, 2, padding="same")(x), arrays)
    return _outputs(crops, _connected(x, arrays), arrays, many, ("offsets", "landmarks"))


class _Arrays:
    """The weights, one layer after the other, adapted to the order and signs of the channels before."""

    def __init__(self, weights: Weights) -> None:
        kernel, bias = weights[:2]
        first = kernel / 128, bias - (kernel * (127.5 / 128)).sum(axis=(0, 1, 2))
        self._rest = iter([*first, *weights[2:]])
        self.order: NDArray[np.intp] | slice = slice(None)
        self.signs: Array | float = 1.0

    def layer(self) -> tuple[Array, Array]:
        """Kernel and bias; a convolution's adapted to its input channels."""
        kernel, bias = next(self._rest), next(self._rest)
        if kernel.ndim == 4:
            kernel = (kernel * np.reshape(self.signs, (-1, 1)))[:, :, self.order]
            self.order, self.signs = slice(None), 1.0
        return kernel, bias

    def slope(self) -> Array:
        """PReLU's slope of each channel."""
        slope: Array = next(self._rest).reshape(-1)
        return slope

    def difference(self) -> tuple[Array, Array]:
        """The layer that computes a layer's second output minus its first."""
        kernel, bias = self.layer()
        return kernel[..., 1:] - kernel[..., :1], bias[1:] - bias[:1]


def _crops(side: int, many: int) -> tuple[Any, Any]:
    from keras import layers, ops

    crops = layers.Input((many, 3, side, side), name="crops")
    return crops, ops.transpose(ops.reshape(crops, (-1, 3, side, side)), (0, 2, 3, 1))


def _pooled(x: Any, arrays: _Arrays, pool: int, *, marked: bool = False) -> Any:
    """Convolution, pooling, PReLU. With ``marked``, pixels whose last channel is not 0 are ignored."""
    from keras import layers, ops

    (kernel, bias), slope = arrays.layer(), arrays.slope()
    order, negative = np.argsort(slope < 0, kind="stable"), slope < 0
    spare = -(len(slope) + negative.sum()) % _VECTOR
    kernel = np.pad(np.concatenate([kernel[..., order], -kernel[..., negative]], axis=3), (*[(0, 0)] * 3, (0, spare)))
    bias = np.pad(np.concatenate([bias[order], -bias[negative]]), (0, spare))
    if marked:
        kernel = np.pad(kernel, ((0, 0), (0, 0), (0, 1), (0, 0)))
        kernel[:, :, -1] = -abs(kernel).sum(axis=(0, 1, 2))  # three such pixels outweigh any colours
    x = layers.MaxPooling2D(pool, 2, padding="same")(_layer(x, kernel, bias))
    count, turned = len(slope), int(negative.sum())
    values = x[..., :count]
    others = ops.concatenate([x[..., : count - turned], x[..., count : count + turned]], axis=3)
    # A slope above 1 takes the smaller value: the larger with the other sign, which the next kernel turns back.
    signs = np.where(slope > 1, -1, 1).astype(np.float32)
    arrays.order, arrays.signs = order, signs
    if (signs < 0).any():
        values = values * signs[order]
    return ops.maximum(values, others * (abs(slope) * signs)[order])


def _convolved(x: Any, arrays: _Arrays) -> Any:
    """Convolution and PReLU."""
    (kernel, bias), slope = arrays.layer(), arrays.slope()
    return _prelu(_layer(x, kernel, bias), slope)


def _connected(x: Any, arrays: _Arrays) -> Any:
    """A dense layer and PReLU. The published one reads columns first; here its weights are transposed instead."""
    from keras import layers

    (kernel, bias), slope = arrays.layer(), arrays.slope()
    high, wide, deep = x.shape[1:]
    turned = kernel.reshape(wide, high, deep, -1).transpose(1, 0, 2, 3).reshape(kernel.shape)
    return _prelu(_layer(layers.Flatten()(x), turned, bias), slope)


def _outputs(crops: Any, x: Any, arrays: _Arrays, many: int, names: Sequence[str]) -> keras.Model:
    from keras import Model, ops

    outputs = {name: _layer(x, *arrays.layer()) for name in names}
    score = ops.sigmoid(_layer(x, *arrays.difference()))
    apart = {name: ops.reshape(output, (-1, many, output.shape[1])) for name, output in outputs.items()}
    return Model(crops, {"scores": ops.reshape(score, (-1, many)), **apart})


def _prelu(x: Any, slope: Array) -> Any:
    from keras import ops

    if (slope > 1).any():
        raise ValueError("a slope above 1 is supported before pooling only")
    return ops.maximum(x, x * slope)


def _layer(x: Any, kernel: Array, bias: Array) -> Any:
    """A convolution or dense layer with these weights."""
    from keras import layers

    layer = layers.Conv2D(kernel.shape[3], kernel.shape[:2]) if kernel.ndim == 4 else layers.Dense(kernel.shape[1])
    output = layer(x)
    layer.set_weights([kernel, bias])
    return output
