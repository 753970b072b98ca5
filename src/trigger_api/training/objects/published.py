"""The published YOLOX-Nano, as an ONNX graph: the weights that training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.training.objects.network import convolutions

if TYPE_CHECKING:
    import keras

Array = NDArray[np.float32]


def load_pretrained(network: keras.Model, path: Path) -> None:
    """Load a network's weights from a published ONNX file, in which batch normalisation is folded.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an ONNX file, or holds another network.
    """
    kernels = _kernels(path)
    layers = convolutions(network)
    if len(kernels) != len(layers):
        raise ValueError(f"{path.name} has {len(kernels)} convolutions, the network {len(layers)}")
    for number, (layer, (kernel, bias)) in enumerate(zip(layers, kernels, strict=True)):
        layer.set_weights([_merge_focus(kernel) if number == 0 else _channels_last(kernel, layer), bias])


def _kernels(path: Path) -> list[tuple[Array, Array]]:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except DecodeError:
        raise ValueError(f"{path.name} is not an ONNX file") from None
    arrays: dict[str, Any] = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    return [(arrays[node.input[1]], arrays[node.input[2]]) for node in graph.node if node.op_type == "Conv"]


def _channels_last(kernel: Array, layer: keras.layers.Layer) -> Array:
    """Move the channels from first to last; a depthwise kernel has one input channel."""
    transposed = kernel.transpose(2, 3, 1, 0)
    return transposed.reshape(layer.weights[0].shape)


def _merge_focus(kernel: Array) -> Array:
    """Merge the first kernel with "focus", which gives it each 2 x 2 pixels as 12 channels of BGR, columns first.

    On RGB pixels they are one kernel of 6 x 6.
    """
    width = kernel.shape[0]
    across_down_colour = kernel.reshape(width, 2, 2, 3, 3, 3)[:, :, :, ::-1]
    # (out, across, down, colour, y, x) to (y, down, x, across, colour, out)
    return across_down_colour.transpose(4, 2, 5, 1, 3, 0).reshape(6, 6, 3, width)
