"""Trained models as small files, and as model folders."""

from __future__ import annotations

import io
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.model_card import WEIGHTS_FILE, ModelCard, write_card
from trigger_api.runtimes import digest
from trigger_api.runtimes.shared_weights import WEIGHTS_MEMBER

if TYPE_CHECKING:
    import h5py
    import keras

# Repetitions in weights are chance. Looking for them, as deflate does by default, takes 8 % more bytes.
_STRATEGIES = (zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE)


def save_model_folder(model: keras.Model, folder: Path, card: ModelCard, step: float = 0.0) -> ModelCard:
    """Save a model, compressed, and its card with the digest of the weights and the number of parameters.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_compressed(model, folder / WEIGHTS_FILE, step)
    card = card.model_copy(update={"parameters": model.count_params(), "sha256": digest(folder)})
    write_card(folder, card)
    return card


def save_compressed(model: keras.Model, path: Path, step: float = 0.0, *, exact: bool = False) -> None:
    """Save a ``.keras`` file whose weights are compressed and stored as float16, or unrounded if ``exact``.

    Keras reads them back into float32 variables. With a ``step`` they are first rounded to its multiples, which
    compresses better, and in a form that is read ten times as fast: a conversion may take them from this file.
    """
    from keras import saving

    saving.save_model(model, whole := path.with_suffix(".whole.keras"))
    with zipfile.ZipFile(whole) as source, _archive(path, fast=bool(step)) as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, _compress(content, step, exact) if name == WEIGHTS_MEMBER else content)
    whole.unlink()


def _archive(path: Path, *, fast: bool) -> zipfile.ZipFile:
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if fast else zipfile.ZIP_LZMA, compresslevel=9)


def _compress(content: bytes, step: float, exact: bool) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(buffer, "w") as target:
        source.visititems(lambda name, node: _copy(name, node, target, step, exact))
    return buffer.getvalue()


def _create(target: h5py.File, name: str, data: NDArray[Any], *, packed: bool) -> h5py.Dataset:
    """An array in one shuffled chunk; ``packed`` if what is around it will not compress it."""
    if not packed:
        return target.create_dataset(name, data=data, chunks=data.shape, shuffle=True)
    copied = target.create_dataset(name, data.shape, data.dtype, chunks=data.shape, shuffle=True, compression="gzip")
    copied.id.write_direct_chunk((0,) * data.ndim, min(map(partial(_deflate, data), _STRATEGIES), key=len))
    return copied


def _deflate(data: NDArray[Any], strategy: int) -> bytes:
    """What HDF5's filters make of a chunk: all first bytes of its numbers, then all second ones, deflated."""
    shuffled = np.ascontiguousarray(data).view(np.uint8).reshape(data.size, data.itemsize).T.tobytes()
    compressor = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
    return compressor.compress(shuffled) + compressor.flush()


def _copy(name: str, node: h5py.Group | h5py.Dataset, target: h5py.File, step: float, exact: bool) -> None:
    import h5py

    if isinstance(node, h5py.Group):
        copied = target.require_group(name)
    elif node.ndim < 2 or not np.issubdtype(node.dtype, np.floating):
        copied = target.create_dataset(name, data=node[()])
    else:
        data = (np.round(node[()] / step) * step if step else node[()]).astype(node.dtype if exact else np.float16)
        copied = _create(target, name, data, packed=bool(step))
    for key, value in node.attrs.items():
        copied.attrs[key] = value
