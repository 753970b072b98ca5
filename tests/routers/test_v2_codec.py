from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_api.errors import BadRequest, MalformedJson, ServiceError
from trigger_api.routers import v2_codec


def body(*inputs: dict[str, Any], **members: Any) -> bytes:
    return json.dumps({"inputs": inputs, **members}).encode()


def tensor(**members: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4], **members}


CUT_OFF = body(tensor(parameters={"binary_data_size": 16}))


def test_flat_and_nested_data_are_the_same() -> None:
    for data in ([1, 2, 3, 4], [[1, 2], [3, 4]]):
        _, arrays = v2_codec.decode(body(tensor(data=data)), None)
        assert arrays["x"].dtype == np.float32
        assert arrays["x"].tolist() == [[1, 2], [3, 4]]


def test_bytes_follow_the_json_in_the_order_of_the_inputs() -> None:
    first, second = np.arange(4, dtype="<f4"), np.arange(2, dtype="<i4")
    head = body(
        tensor(data=None, parameters={"binary_data_size": 16}),
        tensor(data=None, name="y", shape=[2], datatype="INT32", parameters={"binary_data_size": 8}),
    )
    _, arrays = v2_codec.decode(head + first.tobytes() + second.tobytes(), len(head))
    assert arrays["x"].tolist() == [[0, 1], [2, 3]]
    assert arrays["y"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("data", "json_length", "text"),
    [
        (b"{", None, "failed to parse json"),
        (body(), None, "at least 1 item"),
        (body(tensor(datatype="BYTES")), None, "BYTES is not one of"),
        (body(tensor(data=["a"] * 4)), None, "are not a valid FP32 tensor"),
        (body(tensor(data=[[1, 2], [3]])), None, "are not a valid FP32 tensor"),
        (body(tensor(data=[1, 2, 3])), None, "3 values do not fill"),
        (body(tensor(data=None)), None, "0 values do not fill"),
        (body(tensor(shape=[-2, -2])), None, "do not fill"),
        (body(tensor(data=[1, 2, 3, None])), None, "cannot represent"),
        (body(tensor(data=[1, 2, 3, 1e39])), None, "cannot represent"),
        (body(tensor(), tensor()), None, "given twice"),
        (body(tensor(shape=[2**40, 2**40])), None, "do not fill"),
        (body(tensor(datatype="INT8", data=[1, 2, 3, 400])), None, "are not a valid INT8 tensor"),
        (body(tensor()) + b"rest", len(body(tensor())), "4 bytes follow the last tensor"),
        (body(tensor()), 10_000, "Inference-Header-Content-Length is 10000"),
        (
            body(tensor(parameters={"binary_data_size": 16})),
            len(body(tensor(parameters={"binary_data_size": 16}))),
            "16",
        ),
        (body(tensor(parameters={"binary_data_size": "x"})), None, "binary_data_size is x"),
    ],
)
def test_invalid_requests_are_rejected(data: bytes, json_length: int | None, text: str) -> None:
    with pytest.raises((BadRequest, MalformedJson), match=text):
        v2_codec.decode(data, json_length)


def test_bytes_that_are_not_a_whole_number_of_values() -> None:
    head = body(tensor(data=None, parameters={"binary_data_size": 3}))
    with pytest.raises(BadRequest, match="3 bytes are not a whole number of FP32 values"):
        v2_codec.decode(head + b"abc", len(head))


def test_outputs_are_json_or_binary_on_request() -> None:
    outputs = {"y": np.array([[1.5, 2.5]], np.float32), "z": np.array([[7]], np.int32)}
    request, _ = v2_codec.decode(body(tensor(), id="42"), None)
    text, length = v2_codec.encode(request, "m", "1", outputs)
    assert length is None
    assert json.loads(text) == {
        "model_name": "m",
        "model_version": "1",
        "id": "42",
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]},
            {"name": "z", "datatype": "INT32", "shape": [1, 1], "data": [7]},
        ],
    }
    requested = [{"name": "z", "parameters": {"binary_data": True}}, {"name": "y"}]
    request, _ = v2_codec.decode(body(tensor(), outputs=requested), None)
    text, length = v2_codec.encode(request, "m", "1", outputs)
    assert length is not None
    assert text[length:] == outputs["z"].tobytes()
    assert json.loads(text[:length])["outputs"][0]["parameters"] == {"binary_data_size": 4}
    request, _ = v2_codec.decode(body(tensor(), parameters={"binary_data_output": True}), None)
    text, length = v2_codec.encode(request, "m", "1", outputs)
    assert text[length:] == outputs["y"].tobytes() + outputs["z"].tobytes()


def test_values_that_are_not_finite_become_null() -> None:
    request, _ = v2_codec.decode(body(tensor()), None)
    text, _ = v2_codec.encode(request, "m", "1", {"y": np.array([np.nan, np.inf, 1], np.float32)})
    assert json.loads(text)["outputs"][0]["data"] == [None, None, 1]


def test_an_unknown_output_is_rejected() -> None:
    request, _ = v2_codec.decode(body(tensor(), outputs=[{"name": "nix"}]), None)
    with pytest.raises(BadRequest, match="no output 'nix'"):
        v2_codec.encode(request, "m", "1", {})


@given(st.binary(max_size=200), st.none() | st.integers(-1, 300))
@settings(max_examples=200, deadline=None)
def test_noise_is_rejected(data: bytes, json_length: int | None) -> None:
    with pytest.raises(ServiceError):
        v2_codec.decode(data, json_length)
