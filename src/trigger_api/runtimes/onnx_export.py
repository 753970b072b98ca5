"""Converts Keras models to ONNX: with tf2onnx, and the Coursera network by hand, with ONNX's own GRU operator."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from trigger_api.model_card import CONVERTED_FILE, ModelCard, TensorSpec
from trigger_api.runtimes import coursera, keras_loader, keras_tensorflow, onnx_encoder
from trigger_api.runtimes.coursera import Weights
from trigger_api.runtimes.onnx_float16 import store_as_float16
from trigger_api.runtimes.onnx_runtime import DIGEST_KEY, SAMPLES_FILE, TOLERANCE_KEY

_OPSET = 18
_SAMPLES = 2  # items of the batch that a conversion is checked with
_SQUARE = 16  # side, pixels
_VALUES = 9  # distinct values of sample tensors that have a range
_EPSILON = 1e-3  # Keras's, in batch normalisation
_HARD_SIGMOID = {"keras-2-hard_sigmoid": 0.2, "hard_sigmoid": 1 / 6}  # slopes, before and since Keras 3


def convert(path: Path, card: ModelCard, digest: str, folder: Path) -> None:
    """Convert a model folder, or a weights file of the Coursera assignment, and write the result into a folder.

    Raises:
        ValueError: a recurrent layer would become a loop of small operators, slower than the original.
    """
    network = keras_loader.load(path)
    model = keras_tensorflow.KerasModel(network, card)
    kernels: Mapping[str, Any] = {}
    properties = {DIGEST_KEY: digest}
    if not path.is_dir():
        graph = _from_coursera(coursera.read_weights(path))
    elif onnx_encoder.is_encoder(network):
        graph, kernels = onnx_encoder.convert(network, path, card)
        properties[TOLERANCE_KEY] = str(onnx_encoder.TOLERANCE)
    else:
        graph = _from_keras(model, card)
    helper.set_model_props(graph, properties)
    folder.mkdir(parents=True, exist_ok=True)
    # Written completely or not at all: another process may be looking for it right now.
    with tempfile.TemporaryDirectory(dir=folder) as work:
        onnx.save(graph, Path(work) / CONVERTED_FILE)
        np.savez_compressed(Path(work) / SAMPLES_FILE, **_samples(model, card), **kernels)
        for name in (SAMPLES_FILE, CONVERTED_FILE):
            shutil.move(Path(work) / name, folder / name)


def _samples(model: keras_tensorflow.KerasModel, card: ModelCard) -> Mapping[str, Any]:
    """Random inputs, and Keras's outputs for them."""
    length = min(card.sequence_lengths, default=0)
    specs = [
        spec.model_copy(update={"shape": tuple(length if size < 0 else size for size in spec.shape)})
        for spec in card.inputs
    ]
    rng = np.random.default_rng(0)
    inputs = {spec.name: _noise(spec, rng) for spec in specs}
    outputs = model.compile(specs, _SAMPLES)(inputs)
    return {**inputs, **{f"out:{name}": tensor for name, tensor in outputs.items()}}


def _noise(spec: TensorSpec, rng: np.random.Generator) -> NDArray[Any]:
    shape = (_SAMPLES, *spec.shape)
    if spec.dtype == "uint8":  # images, in squares: noise in single pixels does not compress
        squares = rng.integers(0, 256, (_SAMPLES, *(-(-side // _SQUARE) for side in shape[1:3]), *shape[3:]), np.uint8)
        return squares.repeat(_SQUARE, axis=1).repeat(_SQUARE, axis=2)[:, : shape[1], : shape[2]]
    if spec.value_range:
        return rng.choice(np.linspace(*spec.value_range, _VALUES), shape).astype(spec.dtype)
    if spec.dtype == "int32":
        return rng.integers(0, spec.vocab_size or 2, shape, np.int32)  # by default, valid indices of any embedding
    return (rng.integers(-2, 3, shape) / 2).astype(np.float32)  # few values: fine noise would not compress


def _from_keras(model: keras_tensorflow.KerasModel, card: ModelCard) -> Any:
    import tensorflow as tf
    import tf2onnx

    signature = [keras_tensorflow.signature(spec) for spec in card.inputs]

    def call(*tensors: Any) -> list[Any]:
        outputs = model.call(dict(zip((spec.name for spec in card.inputs), tensors, strict=True)))
        # Outputs need names of their own: the converter would confuse them with inputs of the same name.
        return [tf.identity(outputs[spec.name], f"out_{spec.name}") for spec in card.outputs]

    function = tf.function(call, input_signature=signature, autograph=False)
    graph, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=_OPSET)
    if any(node.op_type in ("Loop", "Scan") for node in graph.graph.node):
        raise ValueError(f"{card.name} has a recurrent layer that ONNX's operators cannot express")
    _keep_captures(graph.graph, function.get_concrete_function(*signature).graph.captures)
    store_as_float16(graph, model.kernels)
    _shorten_names(graph.graph)
    return graph


def _keep_captures(graph: Any, captures: Iterable[tuple[Any, Any]]) -> None:
    """Keep constants in the graph that a layer holds as plain tensors: the converter takes them for inputs."""
    constants = {placeholder.name: value for value, placeholder in captures}
    for captured in [value for value in graph.input if value.name in constants]:
        graph.initializer.append(numpy_helper.from_array(constants[captured.name].numpy(), captured.name))
        graph.input.remove(captured)


def _shorten_names(graph: Any) -> None:
    """Number the tensors between inputs and outputs: tf2onnx gives them names of a hundred letters."""
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return  # a nested graph refers to them by name
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    for tensor in graph.initializer:
        tensor.name = names.setdefault(tensor.name, str(len(names)))
    for node in graph.node:
        node.name = node.doc_string = ""
        for ends in (node.input, node.output):
            ends[:] = [names.setdefault(name, str(len(names))) for name in ends]
    del graph.value_info[:]


class _Graph:
    """A chain of nodes: the output of each is the input of the next."""

    def __init__(self, start: str) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.last = start

    def add(self, operator: str, *arrays: NDArray[Any] | None, outputs: int = 1, **attributes: Any) -> None:
        """Append a node, with constants after its first input; None omits an optional one."""
        names = [f"{operator}_{len(self.nodes)}_{i}" for i in range(outputs)]
        inputs = [self.last, *(self._constant(array) for array in arrays)]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        self.last = names[0]

    def _constant(self, array: NDArray[Any] | None) -> str:
        if array is None:
            return ""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def _from_coursera(weights: Weights) -> Any:
    """The Coursera network: ``(batch, 5511, 101)`` to ``(batch, 1375, 1)``."""
    graph = _Graph("spectrogram")
    kernel, bias = weights.convolution
    graph.add("Transpose", perm=[0, 2, 1])
    graph.add("Conv", kernel.transpose(2, 1, 0), bias, strides=[coursera.STRIDE])
    graph.add("Transpose", perm=[2, 0, 1])  # time first, as recurrent operators require
    first, *others = weights.normalisations
    _add_batch_norm(graph, first)
    graph.add("Relu")
    for gru, normalisation in zip(weights.grus, others, strict=True):
        _add_gru(graph, gru, weights)
        _add_batch_norm(graph, normalisation)
    graph.add("MatMul", weights.dense[0])
    graph.add("Add", weights.dense[1])
    graph.add("Sigmoid")
    graph.add("Transpose", perm=[1, 0, 2])
    return _model(graph, "spectrogram", (coursera.FRAMES, coursera.BINS), (coursera.STEPS, 1))


def _add_batch_norm(graph: _Graph, arrays: Sequence[NDArray[Any]]) -> None:
    """Batch normalisation, which at inference is a product and a sum."""
    gamma, beta, mean, variance = arrays
    scale = gamma / np.sqrt(variance + _EPSILON)
    graph.add("Mul", scale)
    graph.add("Add", beta - mean * scale)


def _add_gru(graph: _Graph, arrays: Sequence[NDArray[Any]], weights: Weights) -> None:
    """A GRU. Keras and ONNX order its gates alike: update, reset, candidate."""
    kernel, recurrent, bias = arrays
    biases = bias.reshape(-1) if weights.reset_after else np.concatenate([bias, np.zeros_like(bias)])
    slope = _HARD_SIGMOID.get(weights.recurrent_activation)
    gates: dict[str, Any] = {}
    if slope is not None:
        gates = {"activations": ["HardSigmoid", "Tanh"], "activation_alpha": [slope], "activation_beta": [0.5]}
    graph.add(
        "GRU",
        kernel.T[None],
        recurrent.T[None],
        biases[None],
        hidden_size=recurrent.shape[0],
        linear_before_reset=int(weights.reset_after),
        **gates,
    )
    graph.add("Squeeze", np.array([1], np.int64))


def _model(graph: _Graph, name: str, inputs_shape: Iterable[int], outputs_shape: Iterable[int]) -> Any:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *inputs_shape])]
    outputs = [helper.make_tensor_value_info(graph.last, TensorProto.FLOAT, ["batch", *outputs_shape])]
    body = helper.make_graph(graph.nodes, name, inputs, outputs, graph.constants)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
