from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from trigger_api.training.grid import grid
from trigger_api.training.objects.network import SIDE, build_network, convolutions
from trigger_api.training.objects.published import load_pretrained


@pytest.fixture(scope="module")
def network() -> Any:
    return build_network(classes=3)


def kernels(network: Any) -> list[tuple[Any, Any]]:
    """Random weights of the published form: channels first, and 12 channels in the first."""
    rng = np.random.default_rng(0)
    made = []
    for number, layer in enumerate(convolutions(network)):
        high, wide, before, after = layer.weights[0].shape
        depthwise = "depthwise" in type(layer).__name__.lower()
        shape = (before, 1, high, wide) if depthwise else (after, before, high, wide)
        shape = (after, 12, 3, 3) if number == 0 else shape
        made.append((rng.normal(0, 0.2, shape), rng.normal(0, 0.1, shape[0])))
    return [(kernel.astype(np.float32), bias.astype(np.float32)) for kernel, bias in made]


def write(path: Path, arrays: list[tuple[Any, Any]]) -> None:
    """A graph of convolutions, which is all that is read of a published one."""
    nodes, constants = [], []
    for number, (kernel, bias) in enumerate(arrays):
        names = [f"kernel{number}", f"bias{number}"]
        nodes.append(helper.make_node("Conv", [f"x{number}", *names], [f"x{number + 1}"]))
        constants += [numpy_helper.from_array(array, name) for array, name in zip((kernel, bias), names, strict=True)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x0", f"x{len(arrays)}")]
    onnx.save(helper.make_model(helper.make_graph(nodes, "published", ends[:1], ends[1:], constants)), path)


def focused(pictures: Any, kernel: Any, bias: Any) -> Any:
    """The published first layer on BGR pictures, channels first, as it was published, by ONNX Runtime."""
    parts = [pictures[:, :, down::2, across::2] for down, across in ((0, 0), (1, 0), (0, 1), (1, 1))]
    node = helper.make_node("Conv", ["x", "kernel", "bias"], ["y"], pads=[1, 1, 1, 1])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    constants = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph([node], "first", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": np.concatenate(parts, axis=1)})[0]


def test_published_weights_are_loaded(network: Any, tmp_path: Path) -> None:
    arrays = kernels(network)
    write(tmp_path / "published.onnx", arrays)
    load_pretrained(network, tmp_path / "published.onnx")
    layers = convolutions(network)
    for layer, (kernel, bias) in list(zip(layers, arrays, strict=True))[1:]:
        turned = kernel.transpose(2, 3, 1, 0).reshape(layer.weights[0].shape)
        assert (np.asarray(layer.weights[0]) == turned).all()
        assert (np.asarray(layer.weights[1]) == bias).all()


def test_focus_is_one_convolution(network: Any, tmp_path: Path) -> None:
    arrays = kernels(network)
    write(tmp_path / "published.onnx", arrays)
    load_pretrained(network, tmp_path / "published.onnx")
    pictures = np.random.default_rng(1).normal(size=(1, 16, 16, 3)).astype(np.float32)
    plain = focused(pictures[..., ::-1].transpose(0, 3, 1, 2), *arrays[0]).transpose(0, 2, 3, 1)
    activated = plain / (1 + np.exp(-plain))
    assert np.asarray(convolutions(network)[0](pictures)) == pytest.approx(activated, abs=1e-4)


def test_another_network_is_refused(network: Any, tmp_path: Path) -> None:
    write(tmp_path / "other.onnx", kernels(network)[:-1])
    with pytest.raises(ValueError, match="112 convolutions, the network 113"):
        load_pretrained(network, tmp_path / "other.onnx")


def test_cells_go_by_stride_then_row_by_row() -> None:
    corners, strides = grid(64)
    assert corners.shape == (1, 64 + 16 + 4, 2)
    assert corners[0, 9].tolist() == [1, 1]
    assert [strides[0, cell, 0] for cell in (0, 63, 64, 79, 80)] == [8, 8, 16, 16, 32]


def test_every_cell_has_its_numbers(network: Any) -> None:
    assert network(np.zeros((2, 64, 64, 3), np.float32)).shape == (2, 84, 8)
    assert grid(SIDE)[0].shape == (1, 3549, 2)


@pytest.mark.data
def test_it_computes_what_the_published_one_does() -> None:
    path = Path(__file__).parents[4] / "shared/data/objects/yolox-nano/yolox_nano.onnx"
    if not path.exists():
        pytest.skip("the published network is not here")
    network = build_network()
    load_pretrained(network, path)
    pictures = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(path)
    (wanted,) = session.run(None, {"images": pictures[..., ::-1].transpose(0, 3, 1, 2).copy()})
    got = np.array(network(pictures))
    got[..., 4:] = 1 / (1 + np.exp(-got[..., 4:]))
    assert got == pytest.approx(wanted, abs=1e-4)
