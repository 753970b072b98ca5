"""The published YOLOX-Nano, as an ONNX graph: the starting point's weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.training.objects.network import convolutions

if TYPE_CHECKING:
    import keras

Array = NDArray[np.float32]


def adopt(network: keras.Model, path: Path) -> None:
    """Set a network's weights from a published ONNX file, batch normalisation folded.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is another network.
    """
    kernels = _kernels(path)
    layers = convolutions(network)
    if len(kernels) != len(layers):
        raise ValueError(f"{path.name} has {len(kernels)} convolutions, the network {len(layers)}")
    for number, (layer, (kernel, bias)) in enumerate(zip(layers, kernels, strict=True)):
        layer.set_weights([_focused(kernel) if number == 0 else _turned(kernel, layer), bias])


def _kernels(path: Path) -> list[tuple[Array, Array]]:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except DecodeError:
        raise ValueError(f"{path.name} is no ONNX file") from None
    arrays: dict[str, Any] = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    return [(arrays[node.input[1]], arrays[node.input[2]]) for node in graph.node if node.op_type == "Conv"]


def _turned(kernel: Array, layer: keras.layers.Layer) -> Array:
    """Channels first to channels last; a depthwise kernel has one input channel."""
    turned = kernel.transpose(2, 3, 1, 0)
    return turned.reshape(layer.weights[0].shape)


def _focused(kernel: Array) -> Array:
    """The first kernel sees each 2 x 2 pixels as 12 channels of BGR, columns first: on RGB pixels it is 6 x 6."""
    width = kernel.shape[0]
    across_down_colour = kernel.reshape(width, 2, 2, 3, 3, 3)[:, :, :, ::-1]
    # (out, across, down, colour, y, x) to (y, down, x, across, colour, out)
    return across_down_colour.transpose(4, 2, 5, 1, 3, 0).reshape(6, 6, 3, width)
