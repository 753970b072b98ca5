from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from trigger_api.runtimes.onnx_float16 import store_as_float16

CHANNELS, SIDE = 16, 6


def half(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float16).astype(np.float32)


def model(kernel: NDArray[np.float32]) -> Any:
    """One convolution."""
    shape = [1, kernel.shape[1], SIDE, SIDE]
    inputs = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    outputs = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Conv", ["x", "kernel"], ["y"])
    graph = helper.make_graph([node], "graph", [inputs], [outputs], [numpy_helper.from_array(kernel, "kernel")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(made: Any) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": half(1, CHANNELS, SIDE, SIDE, seed=1)})[0])


@pytest.mark.parametrize("folded", [False, True])
def test_float16_weights_are_stored_as_float16(folded: bool) -> None:
    keras = half(3, 3, CHANNELS, 24)
    factors = np.random.default_rng(2).normal(size=(24, 1, 1, 1)).astype(np.float32) if folded else np.float32(1)
    made = model(np.ascontiguousarray(keras.transpose(3, 2, 0, 1) * factors, np.float32))
    before, size = run(made), made.ByteSize()
    store_as_float16(made, [half(5, 5, CHANNELS, 24), keras])
    assert made.ByteSize() < 0.55 * size
    np.testing.assert_allclose(run(made), before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [24, 1], ids=["of other weights", "small"])
def test_other_weights_stay_as_they_are(channels: int) -> None:
    made = model(np.random.default_rng(0).normal(size=(channels, CHANNELS, 3, 3)).astype(np.float32))
    before = made.SerializeToString()
    store_as_float16(made, [half(3, 3, CHANNELS, channels)])
    assert made.SerializeToString() == before
