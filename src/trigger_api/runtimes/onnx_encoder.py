"""Writes the encoder of named entities as ONNX by hand, with its products in integers.

Each row of a product's input has a scale of its own, and each column of the kernel: an item's scores depend on no other
item of its batch. The kernels stay in the Keras file; see ``shared_weights``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from trigger_api.model_card import WEIGHTS_FILE, ModelCard
from trigger_api.runtimes.shared_weights import COLUMNS, ROWS, Floats, opened, quantise

TOLERANCE = 1.0  # of the scores, which are logits; see docs/models/entities.md for what it does to F1
_OPSET, _IR = 18, 9
_CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
_FLOAT = TensorProto.FLOAT
_ONE, _UNIT, _SMALLEST = np.float32(1), np.float32(1 / 127), np.float32(1e-9)
_ZERO = np.uint8(128)
_TYPES = {"int32": TensorProto.INT32, "float32": _FLOAT}


def is_encoder(model: Any) -> bool:
    """Whether a Keras model is the encoder that ``trigger-api train entities`` trains."""
    names = {layer.name for layer in model.layers}
    return {"piece_embedding", "position_embedding", "gazetteer_embedding", "layer0_attention", "scores"} <= names


def convert(model: Any, path: Path, card: ModelCard) -> tuple[Any, dict[str, int]]:
    """The graph of an encoder, and the kernels that it takes from the Keras file: rows by name.

    Args:
        model: the Keras model.
        path: its folder.
        card: its card.
    """
    encoder = _Encoder(model, _places(path / WEIGHTS_FILE))
    encoder.add()
    inputs = [_value(spec.name, _TYPES[spec.dtype], spec.shape) for spec in card.inputs]
    outputs = [_value(spec.name, _TYPES[spec.dtype], spec.shape) for spec in card.outputs]
    graph = helper.make_graph(encoder.nodes, "entities", inputs, outputs, encoder.constants)
    domains = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=_IR), encoder.kernels


class _Encoder:
    """The graph in the making. Tensors go by their names; constants by numbers."""

    def __init__(self, model: Any, places: Mapping[bytes, str]) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.kernels: dict[str, int] = {}
        self._layers = {layer.name: layer for layer in model.layers}
        self._places = places

    def add(self) -> None:
        """Add everything, from the inputs to ``scores``."""
        x = self._normalise(self._embed(), "embedding_norm")
        mask = self._mask()
        depth = sum(name.endswith("_inner") for name in self._layers)
        for index in range(depth):
            attended = self._add_up(x, self._attend(x, mask, f"layer{index}_attention"))
            x = self._normalise(attended, f"layer{index}_attention_norm")
            inner = self._dense(x, f"layer{index}_inner")
            inner = self._op("Mul", inner, self._op("Sigmoid", inner))
            x = self._normalise(self._add_up(x, self._dense(inner, f"layer{index}_outer")), f"layer{index}_norm")
        kernel, bias = self._weights("scores")
        product = self._op("MatMul", x, self._constant(kernel))
        self.nodes.append(helper.make_node("Add", [product, self._constant(bias)], ["scores"]))

    def _embed(self) -> str:
        length = self._op("Shape", "pieces", start=1, end=2)
        zero = self._constant(np.array([0]))
        positions = self._op("Slice", self._constant(self._weights("position_embedding")[0]), zero, length, zero)
        shapes = self._op("Gather", self._constant(self._weights("shape_embedding")[0]), "shapes")
        names = self._op("MatMul", "gazetteers", self._constant(self._weights("gazetteer_embedding")[0]))
        return self._add_up(self._add_up(self._pieces(), positions), self._add_up(shapes, names))

    def _pieces(self) -> str:
        (table,) = self._weights("piece_embedding")
        rows, scale = self._kernel(table, ROWS)
        whole = self._op("Cast", self._op("Gather", rows, "pieces"), to=_FLOAT)
        return self._op("Mul", whole, self._op("Gather", scale, "pieces"))

    def _mask(self) -> str:
        """1 for pieces, 0 for padding: ``(batch, length)``."""
        padding = self._op("Equal", "pieces", self._constant(np.int32(0)))
        return self._op("Cast", self._op("Not", padding), to=TensorProto.INT32)

    def _attend(self, x: str, mask: str, name: str) -> str:
        layer, scaled = self._layers[name], self._scaled(x)
        parts = (part.get_weights() for part in (layer.query_dense, layer.key_dense, layer.value_dense))
        query, key, value = (self._product(scaled, kernel, bias) for kernel, bias in parts)
        heads = layer.query_dense.kernel.shape[1]
        attended = self._op("MultiHeadAttention", query, key, value, "", mask, domain=_CONTRIB, num_heads=heads)
        kernel, bias = layer.output_dense.get_weights()
        return self._product(self._scaled(attended), kernel, bias, rows=heads * kernel.shape[1])

    def _dense(self, x: str, name: str) -> str:
        kernel, bias = self._weights(name)
        return self._product(self._scaled(x), kernel, bias)

    def _scaled(self, x: str) -> tuple[str, str]:
        """Rows as uint8 around 128, and the unit of each."""
        peak = self._op("ReduceMax", self._op("Abs", x), self._constant(np.array([-1])), keepdims=1)
        unit = self._op("Max", self._op("Mul", peak, self._constant(_UNIT)), self._constant(_SMALLEST))
        whole = self._op("QuantizeLinear", self._op("Div", x, unit), self._constant(_ONE), self._constant(_ZERO))
        return whole, unit

    def _product(self, scaled: tuple[str, str], kernel: NDArray[Any], bias: NDArray[Any], rows: int = 0) -> str:
        """The product with a kernel of so many rows, by default its first axis, and its bias added."""
        whole, unit = scaled
        columns, scale = self._kernel(kernel.reshape(rows or len(kernel), -1), COLUMNS)
        product = self._op("Cast", self._op("MatMulInteger", whole, columns, self._constant(_ZERO)), to=_FLOAT)
        product = self._op("Mul", self._op("Mul", product, scale), unit)
        return self._add_up(product, self._constant(bias.reshape(-1)))

    def _kernel(self, matrix: Floats, kind: str) -> tuple[str, str]:
        """The names of a kernel in integers and of its scale, which the Keras file holds."""
        place = self._places[_key(matrix)]
        self.kernels[f"{kind}:{place}"] = len(matrix)
        names = f"{place}:int8", f"{place}:scale"
        for name, array in zip(names, quantise(matrix, kind), strict=True):
            tensor = numpy_helper.from_array(array, name)
            set_external_data(tensor, WEIGHTS_FILE)
            tensor.ClearField("raw_data")
            self.constants.append(tensor)
        return names

    def _normalise(self, x: str, name: str) -> str:
        layer = self._layers[name]
        weights = map(self._constant, layer.get_weights())
        return self._op("LayerNormalization", x, *weights, epsilon=layer.epsilon)

    def _add_up(self, first: str, second: str) -> str:
        return self._op("Add", first, second)

    def _op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _constant(self, array: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _weights(self, name: str) -> list[NDArray[Any]]:
        arrays: list[NDArray[Any]] = self._layers[name].get_weights()
        return arrays


def _places(path: Path) -> dict[bytes, str]:
    """Where each array lies in a Keras file, by its content."""
    found: dict[bytes, str] = {}
    with opened(path) as weights:

        def add(place: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                found.setdefault(_key(np.asarray(node, np.float32)), place)

        weights.visititems(add)
    return found


def _key(array: NDArray[Any]) -> bytes:
    return hashlib.sha256(array.tobytes()).digest()


def _value(name: str, kind: int, shape: Sequence[int]) -> Any:
    return helper.make_tensor_value_info(name, kind, ["batch", *("length" if size < 0 else size for size in shape)])
