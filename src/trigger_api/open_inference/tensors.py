"""Tensors of the Open Inference Protocol: their datatypes, and arrays from bytes.

Source: the protocol's "predict" chapter and the "binary tensor data" extension, as documented by KServe and Triton.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from trigger_api.errors import BadRequest
from trigger_api.model_card import TensorSpec

Arrays = Mapping[str, NDArray[Any]]

MAX_TENSORS, MAX_DIMENSIONS, MAX_ID = 32, 8, 256  # inputs or outputs of a request, axes, characters of its id
DATATYPES = {"float32": "FP32", "int32": "INT32", "uint8": "UINT8"}
_OF_DTYPE = {np.dtype(object): "BYTES", **{np.dtype(name): datatype for name, datatype in DATATYPES.items()}}
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


class Head(Protocol):
    """What an input says of itself, whatever carries its data."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def shape(self) -> Sequence[int]:
        """Its shape, the batch axis first."""

    @property
    def datatype(self) -> str:
        """Its datatype, such as FP32."""


def dtype_of(tensor: Head) -> str:
    """NumPy's name of a tensor's datatype.

    Raises:
        BadRequest: no model takes tensors of this datatype.
    """
    if tensor.datatype not in _DTYPES:
        raise BadRequest(f"{tensor.name}: {tensor.datatype} is not one of {', '.join(_DTYPES)}")
    return _DTYPES[tensor.datatype]


def datatype_of(array: NDArray[Any]) -> str:
    """The datatype of an output."""
    return _OF_DTYPE[array.dtype]


def from_bytes(tensor: Head, raw: bytes | memoryview) -> NDArray[Any]:
    """A tensor from its bytes, little-endian and in row-major order, without a copy.

    Raises:
        BadRequest: they do not match its shape or datatype.
    """
    dtype = dtype_of(tensor)
    if len(raw) % np.dtype(dtype).itemsize:
        raise BadRequest(f"{tensor.name}: {len(raw)} bytes are not a whole number of {tensor.datatype} values")
    return reshape(tensor, np.frombuffer(raw, dtype))


def from_values(tensor: Head, values: Sequence[Any]) -> NDArray[Any]:
    """A tensor from its values, flat or nested.

    Raises:
        BadRequest: they do not match its shape or datatype.
    """
    try:
        with np.errstate(over="ignore"):  # the value becomes infinite
            array = np.array(values, dtype_of(tensor))
    except (ValueError, TypeError, OverflowError):
        raise BadRequest(f"{tensor.name}: the data are not a valid {tensor.datatype} tensor") from None
    return reshape(tensor, array)


def reshape(tensor: Head, array: NDArray[Any]) -> NDArray[Any]:
    """Values in the shape of a tensor.

    Raises:
        BadRequest: they do not fill it.
    """
    if min(tensor.shape, default=0) < 0 or math.prod(tensor.shape) != array.size:
        raise BadRequest(f"{tensor.name}: {array.size} values do not fill the shape {list(tensor.shape)}")
    return array.reshape(tensor.shape)


def check_names(tensors: Iterable[Head]) -> None:
    """Check that no input is given twice.

    Raises:
        BadRequest: one is.
    """
    names = [tensor.name for tensor in tensors]
    if len(set(names)) < len(names):
        raise BadRequest("an input is given twice")


def describe(spec: TensorSpec) -> dict[str, JsonValue]:
    """A tensor in a model's metadata, its batch axis first."""
    return {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": [-1, *spec.shape]}
