"""Labelled digits on disk: idx and idx.gz, MNIST's formats, and npz."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTE = 0x08
_IMAGES, _LABELS = ("x", "images"), ("y", "labels")


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read pictures ``(n, height, width)``.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has other contents.
    """
    images = _read(path, _IMAGES)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ValueError(f"{path.name} does not contain 8-bit greyscale pictures")
    return images


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read labels ``(n,)``, 0..9. Errors as ``read_images``."""
    labels = _read(path, _LABELS)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or not ((labels >= 0) & (labels <= 9)).all():
        raise ValueError(f"{path.name} does not contain labels from 0 to 9")
    return labels.astype(np.int64)


def _read(path: Path, names: tuple[str, ...]) -> NDArray[Any]:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            for name in names:
                if name in arrays:
                    return np.asarray(arrays[name])
        raise ValueError(f"{path.name} has no array named {' or '.join(names)}")
    try:
        return _idx(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    except (struct.error, EOFError, zlib.error, gzip.BadGzipFile):
        raise ValueError(f"{path.name} is not an idx file") from None


def _idx(data: bytes) -> NDArray[np.uint8]:
    zero, kind, dimensions = struct.unpack_from(">HBB", data)
    if zero or kind != _UNSIGNED_BYTE:
        raise ValueError("an idx file of unsigned bytes starts with 0, 0, 8")
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
