"""Halves the size of a conversion: weights that Keras stores in float16 stay float16 in the file.

Converters fold batch normalisation into convolutions: each kernel is multiplied by a factor per channel, and the
product is no longer a float16. So kernel and factors are stored separately and multiplied when the file is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

_MIN_SIZE = 1_024  # numbers
_TOLERANCE = 1e-6


def store_as_float16(model: Any, kernels: Iterable[Floats]) -> None:
    """Change an ONNX model in place; its outputs stay the same to the precision of float32.

    Args:
        model: the ``ModelProto``.
        kernels: the weights that the model was converted from.
    """
    known = [kernel for kernel in kernels if _is_float16(kernel)]
    nodes: list[Any] = []
    for tensor in list(model.graph.initializer):
        array = numpy_helper.to_array(tensor)
        parts = _factorise(array, known) if array.dtype == np.float32 and array.size >= _MIN_SIZE else None
        if parts is not None:
            model.graph.initializer.remove(tensor)
            nodes += _add_product(model.graph.initializer, tensor.name, *parts)
    for node in reversed(nodes):  # before the nodes that use their outputs
        model.graph.node.insert(0, node)


def _factorise(array: Floats, kernels: Sequence[Floats]) -> tuple[Floats, Floats | None] | None:
    """An array that float16 can hold, and factors along its first axis, if any, whose product is the given array."""
    if _is_float16(array):
        return array, None
    for kernel in _transpositions(array.shape, kernels):
        factors = _best_factors(array, kernel)
        if np.allclose(kernel * factors, array, rtol=_TOLERANCE, atol=_TOLERANCE * float(np.abs(array).max())):
            return kernel, factors
    return None


def _transpositions(shape: tuple[int, ...], kernels: Sequence[Floats]) -> Iterator[Floats]:
    """Every kernel, in every order of its axes that has this shape."""
    for kernel in kernels:
        for order in permutations(range(kernel.ndim)):
            if tuple(kernel.shape[axis] for axis in order) == shape:
                yield kernel.transpose(order)


def _best_factors(array: Floats, kernel: Floats) -> Floats:
    """The factors along the first axis by least squares."""
    others = tuple(range(1, array.ndim))
    squares = np.square(kernel, dtype=np.float64).sum(axis=others, keepdims=True)
    products = np.multiply(array, kernel, dtype=np.float64).sum(axis=others, keepdims=True)
    return np.asarray(products / np.maximum(squares, np.finfo(np.float64).tiny), np.float32)


def _add_product(initializers: Any, name: str, kernel: Floats, factors: Floats | None) -> list[Any]:
    """Store the parts as initializers; returns the nodes that compute the tensor under its old name."""
    cast = name if factors is None else f"{name}_whole"
    initializers.append(numpy_helper.from_array(np.ascontiguousarray(kernel, np.float16), f"{name}_half"))
    nodes = [helper.make_node("Cast", [f"{name}_half"], [cast], to=TensorProto.FLOAT)]
    if factors is not None:
        initializers.append(numpy_helper.from_array(factors, f"{name}_factors"))
        nodes.append(helper.make_node("Mul", [cast, f"{name}_factors"], [name]))
    return nodes


def _is_float16(array: Floats) -> bool:
    with np.errstate(over="ignore"):
        return bool((array.astype(np.float16).astype(np.float32) == array).all())
