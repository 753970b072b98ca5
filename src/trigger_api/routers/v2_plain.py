"""Plain requests of the Open Inference Protocol: floats as flat lists in JSON, and nothing else that has a choice.

Nearly all are like this, and msgspec reads them in a third of the time. It is stricter than the schema in ``v2_codec``,
which decides about everything that is not accepted here.
"""

from __future__ import annotations

import math
import struct
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from trigger_api.open_inference.tensors import MAX_DIMENSIONS, MAX_ID, MAX_TENSORS

_FORMATS: Final = {"FP32": ("f", "<f4"), "FP64": ("d", "<f8")}


class _Tensor(Struct, forbid_unknown_fields=True):
    name: str
    shape: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(max_length=MAX_DIMENSIONS)]
    datatype: str
    data: list[float]


class _Request(Struct, forbid_unknown_fields=True):
    inputs: Annotated[list[_Tensor], Meta(min_length=1, max_length=MAX_TENSORS)]
    id: Annotated[str, Meta(max_length=MAX_ID)] | None = None


_decoder: Final = msgspec.json.Decoder(_Request)


def decode(body: bytes) -> tuple[str | None, dict[str, NDArray[Any]]] | None:
    """The id and the tensors of a plain request; None if it is another one, or invalid."""
    try:
        request = _decoder.decode(body)
        tensors = {tensor.name: _array(tensor) for tensor in request.inputs}
    except (msgspec.MsgspecError, ValueError, KeyError, OverflowError, RecursionError):
        return None
    return (request.id, tensors) if len(tensors) == len(request.inputs) else None


def _array(tensor: _Tensor) -> NDArray[Any]:
    code, dtype = _FORMATS[tensor.datatype]
    if len(tensor.data) != math.prod(tensor.shape):
        raise ValueError("the data do not fill the shape")
    packed = struct.pack(f"<{len(tensor.data)}{code}", *tensor.data)  # half the time of np.array
    return np.frombuffer(packed, dtype).reshape(tensor.shape)
