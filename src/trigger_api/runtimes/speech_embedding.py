"""Google's speech embedding as a Keras network for streams: ``f(mel, state) -> (embeddings, state)``.

The published ONNX file turns 76 frames into 96 numbers, and is run again every eight frames. Here, each convolution in
time keeps the last two rows of its input in the state, so that nothing is computed twice: embedding k depends on the
last 76 frames before frame ``8 * (k + 1)``. A state of zeros means that silence came before.

The architecture is that of the published file (twenty convolutions, 328 000 weights, Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BANDS, EMBEDDING = 32, 96
SILENT = -8.0  # the front end's value for digital silence
_LEAK, _FLOOR, _EPSILON = 0.2, -0.4, 1e-3
_SETTLING_FRAMES = 160  # frames after which earlier ones have no influence
_PAST = 2  # earlier rows that a convolution over three rows needs

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Convolution:
    """One layer, its arrays in the layout of Keras.

    Attributes:
        kernel: ``[time, band, in, out]``.
        scale: factor and offset between a ReLU and the leaky ReLU; only the first layer has them.
        pool: rows and bands of the max pooling at the end; (1, 1) if there is none.
    """

    kernel: Weights
    bias: Weights
    scale: tuple[Weights, Weights] | None = None
    pool: tuple[int, int] = (1, 1)

    @property
    def in_time(self) -> bool:
        """Whether it depends on earlier rows."""
        return len(self.kernel) > 1


def read_layers(path: Path) -> list[Convolution]:
    """The layers of the published ``embedding_model.onnx``.

    Raises:
        ValueError: the file contains another network.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    layers: list[Convolution] = []
    for node in graph.node:
        if node.op_type == "Conv":
            kernel, *bias = (arrays[name] for name in node.input[1:])
            offset = bias[0] if bias else np.zeros(len(kernel), np.float32)
            layers.append(Convolution(kernel.transpose(2, 3, 1, 0), offset))
        elif node.op_type == "BatchNormalization":
            layers[-1] = replace(layers[-1], scale=_fold(*(arrays[name] for name in node.input[1:])))
        elif node.op_type == "MaxPool":
            (pool,) = (tuple(attribute.ints) for attribute in node.attribute if attribute.name == "kernel_shape")
            layers[-1] = replace(layers[-1], pool=pool)
    if [layer.kernel.shape[-1] for layer in layers] != [24] * 3 + [48] * 4 + [72] * 4 + [96] * 9:
        raise ValueError(f"{path.name} is not the speech embedding")
    return layers


def _fold(gamma: Weights, beta: Weights, mean: Weights, variance: Weights) -> tuple[Weights, Weights]:
    factor = gamma / np.sqrt(variance + _EPSILON)
    return factor, beta - mean * factor


def build(layers: Sequence[Convolution]) -> Any:
    """The Keras model.

    It maps ``mel [T, 32]``, T a multiple of 8, and ``state`` to ``embeddings [T / 8, 96]`` and ``state``.
    """
    model = _build(layers, np.zeros(sum(map(np.prod, _state_shapes(layers))), np.float32))
    frames = np.full((1, _SETTLING_FRAMES, BANDS), SILENT, np.float32)
    silence = model({"mel": frames, "state": np.zeros((1, *model.input["state"].shape[1:]), np.float32)})["state"]
    return _build(layers, np.asarray(silence)[0])


def _state_shapes(layers: Sequence[Convolution]) -> list[tuple[int, int, int]]:
    """The shape of the state of each convolution in time: rows, bands, channels."""
    bands, rows = BANDS, []
    for layer in layers:
        if layer.in_time:
            rows.append((_PAST, bands, layer.kernel.shape[2]))
        bands //= layer.pool[1]
    return rows


def _build(layers: Sequence[Convolution], silence: Weights) -> Any:
    import keras
    from keras import ops

    mel = keras.Input((None, BANDS), name="mel")
    state = keras.Input((len(silence),), name="state")
    offset = keras.layers.BatchNormalization(scale=False, epsilon=0.0, name="silence")  # used only to add an offset
    x, rows = _convolve(ops.expand_dims(mel, -1), offset(state), layers)
    outputs = {
        "embeddings": keras.layers.Reshape((-1, EMBEDDING))(x),
        "state": ops.concatenate(rows, axis=-1) - offset(ops.zeros_like(state)),
    }
    model = keras.Model({"mel": mel, "state": state}, outputs, name="speech_embedding")
    _fill(model, layers, silence)
    return model


def _convolve(x: Any, state: Any, layers: Sequence[Convolution]) -> tuple[Any, list[Any]]:
    """The output of all layers, and the rows that each convolution in time keeps for the next call."""
    from keras import ops

    kept: list[Any] = []
    start, shapes = 0, iter(_state_shapes(layers))
    for number, layer in enumerate(layers):
        if layer.in_time:
            shape = next(shapes)
            size = int(np.prod(shape))
            x = ops.concatenate([ops.reshape(state[:, start : start + size], (-1, *shape)), x], axis=1)
            kept.append(ops.reshape(x[:, -_PAST:], (-1, size)))
            start += size
        x = _layer(x, layer, f"conv{number}", last=layer is layers[-1])
    return x, kept


def _layer(x: Any, layer: Convolution, name: str, *, last: bool) -> Any:
    """Convolution, activation and max pooling; bands are padded with zeros, time is not."""
    from keras import layers as keras_layers
    from keras import ops

    time, bands, _, channels = layer.kernel.shape
    if bands > 1:
        x = keras_layers.ZeroPadding2D(((0, 0), (1, 1)))(x)
    x = keras_layers.Conv2D(channels, (time, bands), name=name)(x)
    if last:
        return x
    if layer.scale:
        x = keras_layers.BatchNormalization(epsilon=0.0, name=f"{name}_scale")(keras_layers.ReLU()(x))
    x = ops.maximum(keras_layers.LeakyReLU(_LEAK)(x), _FLOOR)
    return keras_layers.MaxPooling2D(layer.pool)(x) if layer.pool != (1, 1) else x


def _fill(model: Any, layers: Sequence[Convolution], silence: Weights) -> None:
    ones, zeros = np.ones_like(silence), np.zeros_like(silence)
    model.get_layer("silence").set_weights([silence, zeros, ones])
    for number, layer in enumerate(layers):
        model.get_layer(f"conv{number}").set_weights([layer.kernel, layer.bias])
        if layer.scale:
            factor, shift = layer.scale
            model.get_layer(f"conv{number}_scale").set_weights(
                [factor, shift, np.zeros_like(factor), np.ones_like(factor)]
            )
