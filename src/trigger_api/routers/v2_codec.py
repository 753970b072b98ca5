"""Tensors in the Open Inference Protocol (version 2): as JSON, or in its binary extension.

Source: the protocol's "predict" chapter and the "binary tensor data" extension, as documented by KServe and Triton.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json

from trigger_api.errors import BadRequest, MalformedJson
from trigger_api.open_inference.extensions import check_parameters
from trigger_api.open_inference.outputs import select, to_bytes
from trigger_api.open_inference.tensors import (
    MAX_DIMENSIONS,
    MAX_ID,
    MAX_TENSORS,
    Arrays,
    check_names,
    datatype_of,
    from_bytes,
    from_values,
)
from trigger_api.routers import v2_plain

BINARY_HEADER = "Inference-Header-Content-Length"


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class InputTensor(_Message):
    """An input: its data flat or nested, or its bytes after the JSON."""

    name: str
    shape: list[int] = Field(max_length=MAX_DIMENSIONS)
    datatype: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)  # a bare {} would be copied deeply each time
    data: list[Any] | None = None


class RequestedOutput(_Message):
    """An output requested by name."""

    name: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)


class InferRequest(_Message):
    """The JSON part of a request."""

    id: str | None = Field(default=None, max_length=MAX_ID)
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: list[InputTensor] = Field(min_length=1, max_length=MAX_TENSORS)
    outputs: list[RequestedOutput] = Field(default_factory=list, max_length=MAX_TENSORS)

    def binary(self, name: str) -> bool:
        """Whether this output is to be sent as bytes."""
        everywhere = bool(self.parameters.get("binary_data_output", False))
        return any(
            bool(output.parameters.get("binary_data", everywhere)) for output in self.outputs if output.name == name
        ) or (everywhere and not self.outputs)


_REFERENCE: Final = "#/components/schemas/{model}"
REQUEST_BODY: Final = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": _REFERENCE.format(model=InferRequest.__name__)}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}
"""For the OpenAPI document: routes read the body themselves."""


def schemas() -> dict[str, Any]:
    """What ``REQUEST_BODY`` refers to, for the OpenAPI document."""
    made: dict[str, Any] = models_json_schema([(InferRequest, "validation")], ref_template=_REFERENCE)[1]["$defs"]
    return made


_PLAIN: Final = InferRequest.model_construct(inputs=[])  # all that matters of a plain request once its tensors are read


def decode(body: bytes, json_length: int | None) -> tuple[InferRequest, Arrays]:
    """Read a request; ``json_length`` is the length of its JSON, if binary tensors follow it.

    Raises:
        MalformedJson: the JSON is invalid.
        BadRequest: the data of a tensor do not match its shape or type, or an absent extension is asked for.
    """
    if json_length is None and (plain := v2_plain.decode(body)):
        request_id, arrays = plain
        return (_PLAIN if request_id is None else _PLAIN.model_copy(update={"id": request_id})), arrays
    return decode_by_schema(body, json_length)


def decode_by_schema(body: bytes, json_length: int | None) -> tuple[InferRequest, Arrays]:
    """The same for any request; ``decode`` is quicker with a plain one."""
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
    outputs = select(outputs, [(output.name, output.parameters) for output in request.outputs], labels)
    raw = {name: to_bytes(array) for name, array in outputs.items() if request.binary(name)}
    header = {
        "model_name": model,
        "model_version": version,
        **({"id": request.id} if request.id else {}),
        "outputs": [_output(name, array, raw.get(name)) for name, array in outputs.items()],
    }
    text = to_json(header, inf_nan_mode="null")  # JSON has no NaN or infinity
    return b"".join([text, *raw.values()]), len(text) if raw else None


def _arrays(tensors: Sequence[InputTensor], rest: memoryview) -> list[tuple[str, NDArray[Any]]]:
    check_names(tensors)
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
    return from_bytes(tensor, rest[:size]), rest[size:]


def _from_json(tensor: InputTensor) -> NDArray[Any]:
    array = from_values(tensor, tensor.data if tensor.data is not None else [])
    # NumPy reads null as NaN, and JSON has neither that nor infinity.
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadRequest(f"{tensor.name}: the data contain values that {tensor.datatype} cannot represent")
    return array


def _output(name: str, array: NDArray[Any], raw: bytes | None) -> dict[str, Any]:
    head = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
    if raw is None:
        return {**head, "data": array.reshape(-1).tolist()}
    return {**head, "parameters": {"binary_data_size": len(raw)}}


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))
