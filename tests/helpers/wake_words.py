"""Wake words as openWakeWord's trainers export them: one classifier in every layout that files are found in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

FRAMES, EMBEDDING, WIDTH = 16, 96, 8
LAYOUTS = ("gemm", "matmul", "layer normalization")
_EPSILON = 1e-5


def weights(seed: int = 0) -> dict[str, Floats]:
    """Of a dense layer, a layer normalisation, and a dense layer."""
    rng = np.random.default_rng(seed)
    shapes = {
        "w1": (FRAMES * EMBEDDING, WIDTH),
        "b1": (WIDTH,),
        "g": (WIDTH,),
        "b": (WIDTH,),
        "w2": (WIDTH, 1),
        "b2": (1,),
    }
    return {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def scores(windows: Floats, seed: int = 0) -> Floats:
    """What the classifier says of windows ``[n, 16, 96]``."""
    w = weights(seed)
    x = windows.reshape(len(windows), -1) @ w["w1"] + w["b1"]
    centred = x - x.mean(axis=1, keepdims=True)
    x = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + _EPSILON) * w["g"] + w["b"]
    return np.asarray(1 / (1 + np.exp(-(np.maximum(x, 0) @ w["w2"] + w["b2"])[:, 0])), np.float32)


def embeddings(frames: int, batch: int = 1, seed: int = 5) -> Floats:
    """Embeddings ``[batch, frames, 96]`` of about the size that speech has."""
    return np.random.default_rng(seed).normal(0, 10, (batch, frames, EMBEDDING)).astype(np.float32)


def model(layout: str = "gemm", seed: int = 0, **options: Any) -> onnx.ModelProto:
    """The classifier as ONNX."""
    nodes = {"gemm": _gemm, "matmul": _matmul, "layer normalization": _layer_normalization}[layout]()
    return graph(nodes, weights(seed), **options)


def graph(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    *,
    taken: Sequence[int] = (1, FRAMES, EMBEDDING),
    given: Sequence[int] = (1, 1),
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model from ``x`` to ``y``."""
    fixed: dict[str, NDArray[Any]] = {
        "flat": np.array([1, FRAMES * EMBEDDING]),
        "eps": np.array(_EPSILON, np.float32),
        "two": np.array(2, np.float32),
    }
    body = helper.make_graph(
        nodes,
        "wake word",
        [helper.make_tensor_value_info("x", kind, taken)],
        [helper.make_tensor_value_info("y", kind, given)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in {**fixed, **constants}.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    """A node; names of inputs are separated by spaces."""
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def _gemm() -> list[onnx.NodeProto]:
    """PyTorch's export."""
    return [
        node("Flatten", "x", "f"),
        node("Gemm", "f w1 b1", "h"),
        *_decomposed(),
        node("Relu", "n", "r"),
        node("Gemm", "r w2 b2", "l"),
        node("Sigmoid", "l", "y"),
    ]


def _matmul() -> list[onnx.NodeProto]:
    """What comes of TensorFlow: the reshape is to one window."""
    return [
        node("Reshape", "x flat", "f"),
        node("MatMul", "f w1", "m"),
        node("Add", "m b1", "h"),
        *_decomposed(),
        node("Relu", "n", "r"),
        node("MatMul", "r w2", "k"),
        node("Add", "k b2", "l"),
        node("Sigmoid", "l", "y"),
    ]


def _layer_normalization() -> list[onnx.NodeProto]:
    """PyTorch's newer export: one operator for the normalisation, and the shape within a node."""
    shape = numpy_helper.from_array(np.array([1, FRAMES * EMBEDDING]))
    return [
        helper.make_node("Constant", [], ["shape"], value=shape),
        node("Reshape", "x shape", "f"),
        node("Gemm", "f w1 b1", "h"),
        node("LayerNormalization", "h g b", "n", epsilon=_EPSILON),
        node("Relu", "n", "r"),
        node("Gemm", "r w2 b2", "l"),
        node("Sigmoid", "l", "y"),
    ]


def _decomposed() -> list[onnx.NodeProto]:
    return [
        node("ReduceMean", "h", "mean", axes=[-1]),
        node("Sub", "h mean", "c"),
        node("Pow", "c two", "q"),
        node("ReduceMean", "q", "v", axes=[-1]),
        node("Add", "v eps", "e"),
        node("Sqrt", "e", "s"),
        node("Div", "c s", "z"),
        node("Mul", "z g", "zg"),
        node("Add", "zg b", "n"),
    ]


def write(path: Path, layout: str = "gemm", seed: int = 0) -> Path:
    """Write the classifier as an ``.onnx`` file."""
    onnx.save(model(layout, seed), path)
    return path


def tflite(seed: int = 0, *, one_window: bool = False) -> bytes:
    """The classifier as a TensorFlow Lite file; `one_window` has it reshape to a single one."""
    import tensorflow as tf

    w = {name: tf.constant(array) for name, array in weights(seed).items()}

    def classify(x: Any) -> Any:
        h = tf.reshape(x, (1 if one_window else -1, FRAMES * EMBEDDING)) @ w["w1"] + w["b1"]
        mean = tf.reduce_mean(h, -1, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean((h - mean) ** 2, -1, keepdims=True) + _EPSILON)
        return tf.sigmoid(tf.nn.relu((h - mean) * scale * w["g"] + w["b"]) @ w["w2"] + w["b2"])

    function = tf.function(classify).get_concrete_function(tf.TensorSpec((1, FRAMES, EMBEDDING)))
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())


def heard_by_the_package(
    paths: Sequence[Path], embeddings: Floats, monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[float]]:
    """Scores of ``embeddings [T, 96]`` by the package openwakeword, which takes them for its own front end's."""
    package = pytest.importorskip("openwakeword.model", reason="openwakeword cannot be installed here")

    class Heard:
        def __init__(self, **options: Any) -> None:
            self.count = 0

        def __call__(self, chunk: Any) -> int:
            self.count += 1
            return len(chunk)

        def get_features(self, frames: int) -> Floats:
            silent = np.zeros((frames, EMBEDDING), np.float32)
            return np.concatenate([silent, embeddings[: self.count]])[None, -frames:]

    monkeypatch.setattr(package, "AudioFeatures", Heard)
    model = package.Model(wakeword_models=[str(path) for path in paths], inference_framework="onnx")
    answers = [model.predict(np.zeros(1280, np.int16)) for _ in embeddings]
    return {path.stem: [float(answer[path.stem]) for answer in answers] for path in paths}
