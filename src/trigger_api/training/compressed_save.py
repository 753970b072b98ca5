"""Model files written small."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py
    import keras

_WEIGHTS = "model.weights.h5"


def write_small(network: keras.Model, path: Path, step: float = 0.0, *, exact: bool = False) -> None:
    """Write a ``.keras`` file whose arrays of weights are stored as float16, or as they are if `exact`, and compressed.

    Keras reads them back into the float32 variables. With a ``step`` they are rounded to its multiples first, which
    compresses better.
    """
    from keras import saving

    saving.save_model(network, whole := path.with_suffix(".whole.keras"))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, _compressed(content, step, exact) if name == _WEIGHTS else content)
    whole.unlink()


def _compressed(content: bytes, step: float, exact: bool) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(buffer, "w") as target:
        source.visititems(lambda name, node: _copy(name, node, target, step, exact))
    return buffer.getvalue()


def _copy(name: str, node: h5py.Group | h5py.Dataset, target: h5py.File, step: float, exact: bool) -> None:
    import h5py

    if isinstance(node, h5py.Group):
        copied = target.require_group(name)
    elif node.ndim < 2 or not np.issubdtype(node.dtype, np.floating):
        copied = target.create_dataset(name, data=node[()])
    else:
        data = (np.round(node[()] / step) * step if step else node[()]).astype(node.dtype if exact else np.float16)
        copied = target.create_dataset(name, data=data, compression="gzip", compression_opts=9, shuffle=True)
    for key, value in node.attrs.items():
        copied.attrs[key] = value
