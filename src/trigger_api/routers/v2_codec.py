"""Tensors in the Open Inference Protocol (version 2): as JSON, or in its binary extension.

Source: the protocol's "predict" chapter and the "binary tensor data" extension, as documented by KServe and Triton.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import to_json

from trigger_api.errors import BadRequest, MalformedJson
from trigger_api.model_card import TensorSpec
from trigger_api.routers.v2_extensions import check_parameters, class_count, classify, to_bytes

Arrays = Mapping[str, NDArray[Any]]

BINARY_HEADER = "Inference-Header-Content-Length"
DATATYPES = {"float32": "FP32", "int32": "INT32", "uint8": "UINT8"}
_DATATYPES = {np.dtype(object): "BYTES", **{np.dtype(name): datatype for name, datatype in DATATYPES.items()}}
_DTYPES = {
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
}


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class InputTensor(_Message):
    """An input: its data flat or nested, or its bytes after the JSON."""

    name: str
    shape: list[int] = Field(max_length=8)
    datatype: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)  # a bare {} would be copied deeply each time
    data: list[Any] | None = None


class RequestedOutput(_Message):
    """An output requested by name."""

    name: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)


class InferRequest(_Message):
    """The JSON part of a request."""

    id: str | None = Field(default=None, max_length=256)
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: list[InputTensor] = Field(min_length=1, max_length=32)
    outputs: list[RequestedOutput] = Field(default_factory=list, max_length=32)

    def binary(self, name: str) -> bool:
        """Whether this output is to be sent as bytes."""
        everywhere = bool(self.parameters.get("binary_data_output", False))
        return any(
            bool(output.parameters.get("binary_data", everywhere)) for output in self.outputs if output.name == name
        ) or (everywhere and not self.outputs)


def decode(body: bytes, json_length: int | None) -> tuple[InferRequest, Arrays]:
    """Read a request; ``json_length`` is the length of its JSON, if binary tensors follow it.

    Raises:
        MalformedJson: the JSON is invalid.
        BadRequest: the data of a tensor do not match its shape or type, or an absent extension is asked for.
    """
    if json_length is not None and not 0 <= json_length <= len(body):
        raise BadRequest(f"{BINARY_HEADER} is {json_length}, but the body has {len(body)} bytes")
    try:
        request = InferRequest.model_validate_json(body[:json_length])
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise MalformedJson.of(body[:json_length]) from None
        raise BadRequest("; ".join(f"{_path(fault['loc'])}: {fault['msg']}" for fault in error.errors())) from None
    check_parameters(request.parameters)
    for part in chain[InputTensor | RequestedOutput](request.inputs, request.outputs):
        check_parameters(part.parameters)
    rest = memoryview(body)[len(body) if json_length is None else json_length :]
    return request, dict(_arrays(request.inputs, rest))


def encode(
    request: InferRequest, model: str, version: str, outputs: Arrays, labels: Sequence[str] = ()
) -> tuple[bytes, int | None]:
    """Write an answer: its body, and the length of its JSON if binary tensors follow it.

    Raises:
        BadRequest: the model has no such output, or none that can be classified.
    """
    names = [output.name for output in request.outputs] or list(outputs)
    unknown = [name for name in names if name not in outputs]
    if unknown:
        raise BadRequest(f"the model has no output {unknown[0]!r}")
    outputs = {**outputs, **dict(_classified(request, outputs, labels))}
    raw = {name: _raw(outputs[name]) for name in names if request.binary(name)}
    header = {
        "model_name": model,
        "model_version": version,
        **({"id": request.id} if request.id else {}),
        "outputs": [_output(name, outputs[name], raw.get(name)) for name in names],
    }
    text = to_json(header, inf_nan_mode="null")  # JSON has no NaN or infinity
    return b"".join([text, *raw.values()]), len(text) if raw else None


def _classified(
    request: InferRequest, outputs: Arrays, labels: Sequence[str]
) -> Iterator[tuple[str, NDArray[np.object_]]]:
    """The outputs of which classes are requested, instead of the scores."""
    for output in request.outputs:
        if count := class_count(output.name, output.parameters):
            yield output.name, classify(output.name, outputs[output.name], labels, count)


def _raw(array: NDArray[Any]) -> bytes:
    return to_bytes(array) if array.dtype == object else array.tobytes()


def describe(spec: TensorSpec) -> dict[str, JsonValue]:
    """A tensor in a model's metadata, its batch axis first."""
    return {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": [-1, *spec.shape]}


def _arrays(tensors: Sequence[InputTensor], rest: memoryview) -> list[tuple[str, NDArray[Any]]]:
    names = [tensor.name for tensor in tensors]
    if len(set(names)) < len(names):
        raise BadRequest("an input is given twice")
    arrays = []
    for tensor in tensors:
        array, rest = _read(tensor, rest)
        arrays.append((tensor.name, array))
    if len(rest):
        raise BadRequest(f"{len(rest)} bytes follow the last tensor")
    return arrays


def _read(tensor: InputTensor, rest: memoryview) -> tuple[NDArray[Any], memoryview]:
    """A tensor, from the JSON or from the first of the bytes after it, and the remaining bytes."""
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        return _from_json(tensor), rest
    if not isinstance(size, int) or not 0 <= size <= len(rest):
        raise BadRequest(f"{tensor.name}: binary_data_size is {size}, but only {len(rest)} bytes follow")
    return _from_bytes(tensor, rest[:size]), rest[size:]


def _from_json(tensor: InputTensor) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore"):  # the value becomes infinite, and is rejected below
            array = np.array(tensor.data if tensor.data is not None else [], _dtype(tensor))
    except (ValueError, TypeError, OverflowError):
        raise BadRequest(f"{tensor.name}: the data are not a valid {tensor.datatype} tensor") from None
    # NumPy reads null as NaN, and JSON has neither that nor infinity.
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadRequest(f"{tensor.name}: the data contain values that {tensor.datatype} cannot represent")
    return _reshape(tensor, array)


def _from_bytes(tensor: InputTensor, raw: memoryview) -> NDArray[Any]:
    if len(raw) % np.dtype(_dtype(tensor)).itemsize:
        raise BadRequest(f"{tensor.name}: {len(raw)} bytes are not a whole number of {tensor.datatype} values")
    return _reshape(tensor, np.frombuffer(raw, _dtype(tensor)))


def _reshape(tensor: InputTensor, array: NDArray[Any]) -> NDArray[Any]:
    if min(tensor.shape, default=0) < 0 or math.prod(tensor.shape) != array.size:
        raise BadRequest(f"{tensor.name}: {array.size} values do not fill the shape {tensor.shape}")
    return array.reshape(tensor.shape)


def _dtype(tensor: InputTensor) -> str:
    if tensor.datatype not in _DTYPES:
        raise BadRequest(f"{tensor.name}: {tensor.datatype} is not one of {', '.join(_DTYPES)}")
    return _DTYPES[tensor.datatype]


def _output(name: str, array: NDArray[Any], raw: bytes | None) -> dict[str, Any]:
    head = {"name": name, "datatype": _DATATYPES[array.dtype], "shape": list(array.shape)}
    if raw is None:
        return {**head, "data": array.reshape(-1).tolist()}
    return {**head, "parameters": {"binary_data_size": len(raw)}}


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))
