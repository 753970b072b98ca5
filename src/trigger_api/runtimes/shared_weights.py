"""Weights that a conversion takes from the Keras file beside it, as int8: a model folder holds them once.

The samples of such a conversion name them: ``columns:PATH`` or ``rows:PATH`` with the number of rows, where PATH is the
array's place in the Keras file. The graph takes them as ``PATH:int8`` and ``PATH:scale``.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import h5py

Floats = NDArray[np.float32]

COLUMNS, ROWS = "columns", "rows"
PREFIXES = (f"{COLUMNS}:", f"{ROWS}:")
WEIGHTS_MEMBER = "model.weights.h5"
# Columns are multiplied with uint8. Some processors add pairs of such products in 16 bits: with 7 bits here they fit,
# and the integers are the same on all of them.
_LARGEST = {COLUMNS: 63, ROWS: 127}
_FINEST = 1 / 256  # steps that small models are stored in: they are kept as they are where they fit
_PART = 512  # rows


def read(path: Path, kernels: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """Read arrays of a ``.keras`` file as the initializers of a graph.

    Args:
        path: the Keras file.
        kernels: number of rows by name, as in the samples of a conversion.

    Raises:
        OSError: it cannot be read.
        KeyError: it has no such array.
    """
    found: dict[str, NDArray[Any]] = {}
    with opened(path) as weights:
        for name, rows in kernels.items():
            kind, _, place = name.partition(":")
            array = weights[place][()].reshape(rows, -1)
            found[f"{place}:int8"], found[f"{place}:scale"] = quantise(array, kind)
    return found


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The arrays of a ``.keras`` file.

    Raises:
        OSError: it cannot be read.
    """
    import h5py  # few conversions need it

    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read(WEIGHTS_MEMBER))) as weights:
        yield weights


def quantise(array: NDArray[np.floating], kind: str) -> tuple[NDArray[np.int8], Floats]:
    """An array ``(rows, columns)`` as integers, and their scale: ``(columns,)``, or ``(rows, 1)`` for rows."""
    if kind == COLUMNS:
        return _quantise(array, axis=0, keep=False)
    # A table of words is large: in parts it stays in the processor's caches, and takes no memory for single precision.
    parts = [_quantise(array[start : start + _PART], axis=1, keep=True) for start in range(0, len(array), _PART)]
    return np.concatenate([whole for whole, _ in parts]), np.concatenate([scale for _, scale in parts])


def _quantise(array: NDArray[np.floating], *, axis: int, keep: bool) -> tuple[NDArray[np.int8], Floats]:
    single = array.astype(np.float32)
    peak = np.maximum(single.max(axis, keepdims=keep), -single.min(axis, keepdims=keep))
    scale = np.maximum(peak / (_LARGEST[ROWS] if keep else _LARGEST[COLUMNS]), _FINEST).astype(np.float32)
    single /= scale
    return np.rint(single, out=single).astype(np.int8), scale
