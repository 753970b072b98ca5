"""Tensors in the messages of the Open Inference Protocol's gRPC: typed, or as raw bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as messages

from trigger_api.errors import BadRequest
from trigger_api.open_inference.extensions import check_parameters
from trigger_api.open_inference.outputs import Requested, select, to_bytes
from trigger_api.open_inference.tensors import (
    MAX_DIMENSIONS,
    MAX_ID,
    MAX_TENSORS,
    Arrays,
    check_names,
    datatype_of,
    dtype_of,
    from_bytes,
    from_values,
)
from trigger_api.tasks.raw import RawResult

# The protocol has no typed form of FP16.
_CONTENTS = {
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "BYTES": "bytes_contents",
}


@dataclass(frozen=True)
class InferCall:
    """What a request asks for, and the arrays that it brings."""

    id: str
    model: str
    version: str | None
    arrays: Arrays
    outputs: Requested
    raw: bool
    """Whether the tensors are raw bytes, as those of the answer will be."""
    save: bool | None
    """Whether the history is to keep the answer."""


def decode(body: bytes) -> InferCall:
    """Read a request.

    Raises:
        BadRequest: the data of a tensor do not match its shape or type, or an absent extension is asked for.
        google.protobuf.message.DecodeError: this is no such message.
    """
    request = messages.ModelInferRequest.FromString(body)
    _check_sizes(request)
    parameters = read_parameters(request.parameters)
    outputs = [(output.name, read_parameters(output.parameters)) for output in request.outputs]
    for each in (
        parameters,
        *(read_parameters(tensor.parameters) for tensor in request.inputs),
        *dict(outputs).values(),
    ):
        check_parameters(each)
    return InferCall(
        id=request.id,
        model=request.model_name,
        version=request.model_version or None,
        arrays=_arrays(request),
        outputs=outputs,
        raw=bool(request.raw_input_contents),
        save=_save(parameters),
    )


def encode(call: InferCall, result: RawResult) -> bytes:
    """Write an answer.

    Raises:
        BadRequest: the model has no such output, or none that can be classified.
    """
    outputs = select(result.outputs, call.outputs, result.labels)
    answer = messages.ModelInferResponse(
        id=call.id, model_name=result.model, model_version=result.version,
        raw_output_contents=map(to_bytes, outputs.values()) if call.raw else (),
    )  # fmt: skip
    for name, array in outputs.items():
        tensor = answer.outputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        if not call.raw:
            getattr(tensor.contents, _CONTENTS[tensor.datatype]).extend(_values(array))
    body: bytes = answer.SerializeToString()
    return body


def read_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by name, each with the value that was chosen for it."""
    chosen = {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()}
    return {name: getattr(parameters[name], kind) if kind else None for name, kind in chosen.items()}


def _check_sizes(request: Any) -> None:
    """The limits that the JSON has by its schema."""
    if not 0 < len(request.inputs) <= MAX_TENSORS or len(request.outputs) > MAX_TENSORS:
        raise BadRequest(f"a request has 1 to {MAX_TENSORS} inputs, and names at most {MAX_TENSORS} outputs")
    if any(len(tensor.shape) > MAX_DIMENSIONS for tensor in request.inputs):
        raise BadRequest(f"a tensor has at most {MAX_DIMENSIONS} dimensions")
    if len(request.id) > MAX_ID:
        raise BadRequest(f"an id has at most {MAX_ID} characters")


def _arrays(request: Any) -> Arrays:
    check_names(request.inputs)
    raw = request.raw_input_contents
    if not raw:
        return {tensor.name: _from_contents(tensor) for tensor in request.inputs}
    if len(raw) != len(request.inputs) or any(tensor.HasField("contents") for tensor in request.inputs):
        raise BadRequest("raw_input_contents must hold the data of every input, and then no input may have contents")
    return {tensor.name: from_bytes(tensor, data) for tensor, data in zip(request.inputs, raw, strict=True)}


def _from_contents(tensor: Any) -> NDArray[Any]:
    dtype_of(tensor)  # first: the datatype may be one that no model takes
    if tensor.datatype not in _CONTENTS:
        raise BadRequest(f"{tensor.name}: {tensor.datatype} has no typed contents: send it in raw_input_contents")
    # A list: NumPy would let values of the message's own container overflow.
    return from_values(tensor, list(getattr(tensor.contents, _CONTENTS[tensor.datatype])))


def _values(array: NDArray[Any]) -> Iterable[Any]:
    flat: Sequence[Any] = array.reshape(-1).tolist()
    return (str(text).encode() for text in flat) if array.dtype == object else flat


def _save(parameters: Mapping[str, Any]) -> bool | None:
    save = parameters.get("save")
    if save is not None and not isinstance(save, bool):
        raise BadRequest("save must be true or false")
    return save
