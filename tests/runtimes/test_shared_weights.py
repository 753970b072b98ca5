from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from trigger_api.runtimes.shared_weights import COLUMNS, ROWS, WEIGHTS_MEMBER, quantise, read


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as weights:
        weights["layers/dense/vars/0"] = np.arange(24, dtype=np.float16).reshape(2, 3, 4) / 256
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr(WEIGHTS_MEMBER, buffer.getvalue())
    return tmp_path / "model.keras"


@pytest.mark.parametrize(("kind", "largest", "scale_shape"), [(COLUMNS, 63, (40,)), (ROWS, 127, (1_100, 1))])
def test_a_number_is_off_by_half_a_step(kind: str, largest: int, scale_shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).normal(size=(1_100, 40)).astype(np.float32)
    whole, scale = quantise(array, kind)
    assert whole.dtype == np.int8
    assert scale.shape == scale_shape
    assert np.abs(whole).max() == largest
    assert (np.abs(whole * scale - array) <= scale / 2 * 1.001).all()


def test_multiples_of_the_finest_step_are_kept() -> None:
    array = np.random.default_rng(0).integers(-63, 64, (50, 8)).astype(np.float32) / 256
    for kind in (COLUMNS, ROWS):
        whole, scale = quantise(array, kind)
        assert (whole * scale == array).all()


def test_arrays_of_a_keras_file_are_read_as_matrices(keras_file: Path) -> None:
    arrays = read(keras_file, {"columns:layers/dense/vars/0": 6})
    assert sorted(arrays) == ["layers/dense/vars/0:int8", "layers/dense/vars/0:scale"]
    assert arrays["layers/dense/vars/0:int8"].tolist() == np.arange(24).reshape(6, 4).tolist()


def test_an_array_that_is_not_there_is_an_error(keras_file: Path) -> None:
    with pytest.raises(KeyError):
        read(keras_file, {"columns:layers/dense_9/vars/0": 6})
