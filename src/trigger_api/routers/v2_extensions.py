"""Extensions of the Open Inference Protocol: classification; and a clear answer to those that are absent.

Source: Triton's documents of its protocol extensions.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray

from trigger_api.errors import BadRequest, NotFound

PRESENT: Final = ("binary_tensor_data", "classification", "model_repository")

_ABSENT: Final = {
    "system_shared_memory": ("/systemsharedmemory/{rest:path}",),
    "cuda_shared_memory": ("/cudasharedmemory/{rest:path}",),
    "trace": ("/trace/setting", "/models/{name}/trace/setting"),
    "logging": ("/logging",),
    "statistics": ("/models/{name}/stats", "/models/{name}/versions/{version}/stats"),
    "model_configuration": ("/models/{name}/config", "/models/{name}/versions/{version}/config"),
    "generate": ("/models/{name}/generate", "/models/{name}/generate_stream"),
}
_ABSENT_PARAMETERS: Final = {
    "shared_memory_region": "shared memory is not supported: send the data in the request",
    "sequence_id": "sequences are not supported: every request stands alone",
}

router = APIRouter(prefix="/v2", tags=["open inference protocol"], include_in_schema=False)


def absent(name: str) -> NotFound:
    """The error for what belongs to an extension that is absent."""
    return NotFound(f"the extension {name} is not supported; GET /v2 lists those that are")


def _absent(name: str) -> Callable[[], None]:
    def answer() -> None:
        raise absent(name)

    return answer


for _name, _paths in _ABSENT.items():
    for _path in _paths:
        router.add_api_route(_path, _absent(_name), methods=["GET", "POST"])


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters of extensions that are absent.

    Raises:
        BadRequest: there is one.
    """
    for name, reason in _ABSENT_PARAMETERS.items():
        if parameters.get(name):
            raise BadRequest(reason)


def class_count(name: str, parameters: Mapping[str, Any]) -> int:
    """How many classes are requested of an output; 0 for the tensor itself.

    Raises:
        BadRequest: it is no whole number.
    """
    count = parameters.get("classification", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise BadRequest(f"{name}: classification must be a number of classes")
    return count


def classify(name: str, scores: NDArray[Any], labels: Sequence[str], count: int) -> NDArray[np.object_]:
    """The `count` best classes of the last axis as ``value:index:label``, the best first.

    Raises:
        BadRequest: the last axis is not that of the labels.
    """
    if len(labels) < 2 or scores.ndim < 2 or scores.shape[-1] != len(labels):
        raise BadRequest(f"{name} is not an output with a score for each label: classification is not possible")
    best = np.argsort(-scores, axis=-1, kind="stable")[..., :count]
    values = np.take_along_axis(scores, best, axis=-1)
    texts = [f"{value:.6f}:{index}:{labels[int(index)]}" for value, index in zip(values.flat, best.flat, strict=True)]
    return np.array(texts, object).reshape(best.shape)


def to_bytes(texts: NDArray[np.object_]) -> bytes:
    """BYTES in the binary form: each with its length before it."""
    encoded = [str(text).encode() for text in texts.flat]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
