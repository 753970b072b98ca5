from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from trigger_api.datasets.mnist import read_images, read_labels

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([7, 0], np.uint8)


def idx(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_idx_plain_and_compressed(tmp_path: Path) -> None:
    (tmp_path / "images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    assert (read_images(tmp_path / "images-idx3-ubyte") == IMAGES).all()
    assert read_labels(tmp_path / "labels-idx1-ubyte.gz").tolist() == [7, 0]


def test_npz_by_either_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "both.npz", x=IMAGES, labels=LABELS)
    assert (read_images(tmp_path / "both.npz") == IMAGES).all()
    assert read_labels(tmp_path / "both.npz").tolist() == [7, 0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.gz", b"no gzip"),
        ("b.gz", gzip.compress(b"abc", mtime=0)),
        ("c", b""),
        ("d", b"\0\0\x0d\1\0\0\0\1\0\0\0\0"),
        ("e", idx(IMAGES)[:-1]),
        ("f", idx(LABELS)),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"idx|pictures|reshape|buffer|byte"):
        read_images(tmp_path / name)


def test_labels_are_digits(tmp_path: Path) -> None:
    np.savez(tmp_path / "y.npz", y=np.array([10]))
    with pytest.raises(ValueError, match="0 to 9"):
        read_labels(tmp_path / "y.npz")
    with pytest.raises(ValueError, match="no array"):
        read_images(tmp_path / "y.npz")
