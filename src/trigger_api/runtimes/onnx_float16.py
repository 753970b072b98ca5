"""Half the size for a conversion: what Keras keeps in float16 need not be float32 in the file.

Converters fold batch normalisation into a convolution: its kernel times a factor for each channel, which float16 does
not hold. So kernel and factors are kept apart, and multiplied once, when the file is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

_WORTH_IT = 1_024  # numbers
_CLOSE = 1e-6


def halve(model: Any, kernels: Iterable[Floats]) -> None:
    """Change an ONNX model in place: what it computes stays the same, to float32's precision.

    Args:
        model: the ``ModelProto``.
        kernels: the weights that it was made from.
    """
    known = [kernel for kernel in kernels if _is_half(kernel)]
    nodes: list[Any] = []
    for tensor in list(model.graph.initializer):
        array = numpy_helper.to_array(tensor)
        parts = _parts(array, known) if array.dtype == np.float32 and array.size >= _WORTH_IT else None
        if parts is not None:
            model.graph.initializer.remove(tensor)
            nodes += _joined(model.graph.initializer, tensor.name, *parts)
    for node in reversed(nodes):  # they come before whatever takes what they give
        model.graph.node.insert(0, node)


def _parts(array: Floats, kernels: Sequence[Floats]) -> tuple[Floats, Floats | None] | None:
    """A tensor that float16 holds, and factors of its first axis if it takes any to come to the array."""
    if _is_half(array):
        return array, None
    for kernel in _arranged(array.shape, kernels):
        factors = _factors(array, kernel)
        if np.allclose(kernel * factors, array, rtol=_CLOSE, atol=_CLOSE * float(np.abs(array).max())):
            return kernel, factors
    return None


def _arranged(shape: tuple[int, ...], kernels: Sequence[Floats]) -> Iterator[Floats]:
    """Every kernel in every order of its axes that has this shape."""
    for kernel in kernels:
        for order in permutations(range(kernel.ndim)):
            if tuple(kernel.shape[axis] for axis in order) == shape:
                yield kernel.transpose(order)


def _factors(array: Floats, kernel: Floats) -> Floats:
    """The best ones, by least squares, one for each of the first axis."""
    others = tuple(range(1, array.ndim))
    squares = np.square(kernel, dtype=np.float64).sum(axis=others, keepdims=True)
    products = np.multiply(array, kernel, dtype=np.float64).sum(axis=others, keepdims=True)
    return np.asarray(products / np.maximum(squares, np.finfo(np.float64).tiny), np.float32)


def _joined(initializers: Any, name: str, half: Floats, factors: Floats | None) -> list[Any]:
    """The nodes that give the tensor its old name; its parts become initializers."""
    whole = name if factors is None else f"{name}_whole"
    initializers.append(numpy_helper.from_array(np.ascontiguousarray(half, np.float16), f"{name}_half"))
    nodes = [helper.make_node("Cast", [f"{name}_half"], [whole], to=TensorProto.FLOAT)]
    if factors is not None:
        initializers.append(numpy_helper.from_array(factors, f"{name}_factors"))
        nodes.append(helper.make_node("Mul", [whole, f"{name}_factors"], [name]))
    return nodes


def _is_half(array: Floats) -> bool:
    with np.errstate(over="ignore"):
        return bool((array.astype(np.float16).astype(np.float32) == array).all())
