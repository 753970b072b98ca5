from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trigger_api.errors import ServiceError
from trigger_api.routers import v2_codec, v2_plain

NUMBERS = st.floats(width=32) | st.integers(-(2**70), 2**70) | st.booleans() | st.none() | st.sampled_from([1e39, "1"])
FLAT = st.lists(NUMBERS, max_size=6)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", "y", "ü"]) | st.text(max_size=3),
        "shape": st.lists(st.sampled_from([1, 2, 3, 0, -1, "2", 2.0, True]), max_size=3),
        "datatype": st.sampled_from(["FP32", "FP64", "FP16", "INT32", "INT64", "BYTES"]),
        "data": FLAT | st.lists(FLAT, max_size=2),
    },
    optional={"parameters": st.just({}), "other": st.integers()},
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=3)},
    optional={
        "id": st.none() | st.text(max_size=300) | st.integers(),
        "parameters": st.just({"priority": 1}),
        "outputs": st.just([{"name": "z"}]),
    },
)


def body(data: str = "[1, 2.5]", **members: str) -> bytes:
    given = {"name": '"x"', "shape": "[1, 2]", "datatype": '"FP32"', "data": data, **members}
    return f'{{"inputs": [{{{", ".join(f"{json.dumps(key)}: {value}" for key, value in given.items())}}}]}}'.encode()


def check(text: bytes) -> None:
    """What is read here is what the schema's own reader would read."""
    plain = v2_plain.decode(text)
    if plain is None:
        return
    request, arrays = v2_codec.decode_by_schema(text, None)
    assert (request.id, request.parameters, request.outputs) == (plain[0], {}, [])
    assert list(arrays) == list(plain[1])
    for name, array in arrays.items():
        assert array.dtype == plain[1][name].dtype
        np.testing.assert_array_equal(array, plain[1][name], strict=True)


@given(request=REQUESTS, ascii_only=st.booleans())
@settings(max_examples=300, deadline=None)
def test_what_is_accepted_is_read_as_by_the_schema(request: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(request, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    check(text)


@given(position=st.integers(0, 100), byte=st.binary(max_size=2), cut=st.integers(0, 3))
@example(position=64, byte=b"\xff", cut=1)
@settings(max_examples=300, deadline=None)
def test_a_damaged_request_is_read_as_by_the_schema(position: int, byte: bytes, cut: int) -> None:
    text = body()
    check(text[:position] + byte + text[position + cut :])


@pytest.mark.parametrize(
    "text",
    [
        body(shape="[2]"),
        body(datatype='"FP64"', data="[1e308, -0.0]"),
        body(data="[]", shape="[0, 2]"),
        b'{"id": "7", ' + body()[1:],
    ],
)
def test_plain_requests_are_accepted(text: bytes) -> None:
    assert v2_plain.decode(text)
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"inputs": []}',
        body(data="[1, null]"),
        body(data="[1, 1e39]"),
        body(data="[[1, 2]]"),
        body(data="[1]"),
        body(data="[true, 2]"),
        body(data="[1, NaN]"),
        body(shape="[-1, -2]"),
        body(datatype='"INT32"'),
        body(parameters="{}"),
        b'{"inputs": [' + b"[" * 100_000,
    ],
)
def test_everything_else_is_left_to_the_schema(text: bytes) -> None:
    assert v2_plain.decode(text) is None


def test_an_input_that_is_given_twice_is_left_to_the_schema() -> None:
    tensor = json.loads(body())["inputs"][0]
    assert v2_plain.decode(json.dumps({"inputs": [tensor, tensor]}).encode()) is None
    with pytest.raises(ServiceError, match="given twice"):
        v2_codec.decode(json.dumps({"inputs": [tensor, tensor]}).encode(), None)
