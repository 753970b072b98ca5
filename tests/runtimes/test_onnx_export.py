from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("tf2onnx")

from trigger_api.runtimes.onnx_export import _shorten_names


def test_names_between_inputs_and_outputs_become_short_and_nothing_else_changes() -> None:
    long = "a/long/path/" * 20
    weights = numpy_helper.from_array(np.array([2, 3], np.float32), f"{long}weights")
    nodes = [
        helper.make_node("Mul", ["x", f"{long}weights"], [f"{long}product"], name=f"{long}mul"),
        helper.make_node("Clip", [f"{long}product", "", f"{long}most"], ["y"], name=f"{long}clip"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    most = numpy_helper.from_array(np.array(5, np.float32), f"{long}most")
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [weights, most])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    _shorten_names(model.graph)
    assert len(model.SerializeToString()) < 300
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(["y"], {"x": np.array([1, 4], np.float32)})
    assert found.tolist() == [2, 5]
