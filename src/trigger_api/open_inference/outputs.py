"""The outputs that a request names: tensors, or the best classes with their labels.

Source: Triton's document of the classification extension.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.errors import BadRequest
from trigger_api.open_inference.tensors import Arrays

Requested = Sequence[tuple[str, Mapping[str, Any]]]
"""Names of outputs, each with its parameters."""


def select(outputs: Arrays, requested: Requested, labels: Sequence[str]) -> Arrays:
    """The requested outputs in their order, or all if none is named.

    Raises:
        BadRequest: the model has no such output, or none that can be classified.
    """
    unknown = [name for name, _ in requested if name not in outputs]
    if unknown:
        raise BadRequest(f"the model has no output {unknown[0]!r}")
    found = {**outputs, **dict(_classified(outputs, requested, labels))}
    return {name: found[name] for name, _ in requested} if requested else found


def _classified(
    outputs: Arrays, requested: Requested, labels: Sequence[str]
) -> Iterator[tuple[str, NDArray[np.object_]]]:
    """The outputs of which classes are requested, instead of the scores."""
    for name, parameters in requested:
        if count := _class_count(name, parameters):
            yield name, classify(name, outputs[name], labels, count)


def _class_count(name: str, parameters: Mapping[str, Any]) -> int:
    """How many classes are requested of an output; 0 for the tensor itself."""
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


def to_bytes(array: NDArray[Any]) -> bytes:
    """An output in the binary form; of texts, each has its length before it."""
    if array.dtype != object:
        return array.tobytes()
    encoded = [str(text).encode() for text in array.flat]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
