from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as messages

from trigger_api.errors import BadRequest
from trigger_api.rpc import codec
from trigger_api.tasks.raw import RawResult

VALUES = {
    "FP32": ("fp32_contents", [1.5, -0.1]),
    "FP64": ("fp64_contents", [1.5, -0.1]),
    "INT8": ("int_contents", [-128, 127]),
    "INT16": ("int_contents", [-32_768, 32_767]),
    "INT32": ("int_contents", [-(2**31), 2**31 - 1]),
    "INT64": ("int64_contents", [-(2**63), 2**63 - 1]),
    "UINT8": ("uint_contents", [0, 255]),
}
DTYPES = {
    "FP16": "f2",
    "FP32": "f4",
    "FP64": "f8",
    "INT8": "i1",
    "INT16": "i2",
    "INT32": "i4",
    "INT64": "i8",
    "UINT8": "u1",
}


def request(datatype: str, raw: Any = None, shape: Any = (2, 1), **contents: Any) -> bytes:
    tensor: dict[str, Any] = {"name": "x", "datatype": datatype, "shape": shape}
    if contents:
        tensor["contents"] = contents
    body: bytes = messages.ModelInferRequest(
        model_name="m", inputs=[tensor], raw_input_contents=[] if raw is None else [raw]
    ).SerializeToString()
    return body


@pytest.mark.parametrize("datatype", DTYPES)
def test_raw_bytes(datatype: str) -> None:
    sent = np.array([[1], [2]], DTYPES[datatype])
    call = codec.decode(request(datatype, sent.tobytes()))
    assert (call.model, call.version, call.raw) == ("m", None, True)
    assert call.arrays["x"].dtype == sent.dtype
    assert call.arrays["x"].tolist() == sent.tolist()


@pytest.mark.parametrize("datatype", VALUES)
def test_typed_contents(datatype: str) -> None:
    member, values = VALUES[datatype]
    call = codec.decode(request(datatype, **{member: values}))
    assert not call.raw
    assert call.arrays["x"].dtype == DTYPES[datatype]
    assert call.arrays["x"].ravel().tolist() == np.array(values, DTYPES[datatype]).tolist()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (request("FP32", b"1234567"), "not a whole number of FP32 values"),
        (request("FP32", b"1234"), "1 values do not fill the shape"),
        (request("FP32", b"", (-1, 0)), "do not fill the shape"),
        (request("FP32", b"12345678", fp32_contents=[1, 2]), "then no input may have contents"),
        (request("FP32", shape=(1,) * 9, fp32_contents=[1]), "at most 8 dimensions"),
        (request("FP32", int_contents=[1, 2]), "0 values do not fill the shape"),
        (request("FP32"), "0 values do not fill the shape"),
        (request("FP16", fp32_contents=[1, 2]), "FP16 has no typed contents"),
        (request("INT8", int_contents=[1, 128]), "not a valid INT8 tensor"),
        (request("UINT8", uint_contents=[1, 256]), "not a valid UINT8 tensor"),
        (request("BYTES", b"\0\0\0\0"), "BYTES is not one of"),
        (request("BOOL", bool_contents=[True, False]), "BOOL is not one of"),
        (messages.ModelInferRequest(inputs=[{"name": "x"}] * 2).SerializeToString(), "given twice"),
        (messages.ModelInferRequest(inputs=[{"name": "x"}] * 33).SerializeToString(), "1 to 32 inputs"),
    ],
)
def test_what_does_not_match_is_rejected(body: bytes, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        codec.decode(body)


def answer(*outputs: Any, raw: bool, **arrays: Any) -> Any:
    call = codec.InferCall("7", "m", None, {}, [(name, {}) for name in outputs], raw, None)
    return messages.ModelInferResponse.FromString(codec.encode(call, RawResult(arrays, "m", "1")))


def test_answers_are_raw_or_typed() -> None:
    arrays: dict[str, Any] = {
        "f": np.array([[0.1]], np.float32), "i": np.array([[-1, 2]], np.int32), "u": np.array([[255]], np.uint8),
        "t": np.array([["ä", "bc"]], object),
    }  # fmt: skip
    raw = answer(raw=True, **arrays)
    assert [output.datatype for output in raw.outputs] == ["FP32", "INT32", "UINT8", "BYTES"]
    assert raw.raw_output_contents[1] == arrays["i"].tobytes()
    assert raw.raw_output_contents[3] == b"\2\0\0\0\xc3\xa4\2\0\0\0bc"
    typed = {output.name: output.contents for output in answer(raw=False, **arrays).outputs}
    assert np.float32(typed["f"].fp32_contents[0]) == np.float32(0.1)
    assert list(typed["i"].int_contents) == [-1, 2]
    assert list(typed["u"].uint_contents) == [255]
    assert list(typed["t"].bytes_contents) == ["ä".encode(), b"bc"]


def test_values_that_json_cannot_say_are_answered() -> None:
    raw = answer(raw=True, f=np.array([np.nan, np.inf], np.float32))
    assert np.isnan(np.frombuffer(raw.raw_output_contents[0], np.float32)[0])


def test_parameters_have_the_value_that_was_chosen() -> None:
    sent = {"a": {"int64_param": 1}, "b": {"bool_param": False}, "c": {"string_param": "x"}, "d": {}}
    request = messages.ModelInferRequest(parameters=sent)
    assert codec.read_parameters(request.parameters) == {"a": 1, "b": False, "c": "x", "d": None}
