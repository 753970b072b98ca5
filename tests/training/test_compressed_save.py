import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from trigger_api.runtimes.shared_weights import opened
from trigger_api.training.compressed_save import save_compressed

STEP = 1 / 256


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((300,)), keras.layers.Dense(400), keras.layers.Dense(3)])


def saved(model: keras.Model, path: Path, step: float = 0.0) -> keras.Model:
    save_compressed(model, path, step)
    return keras.saving.load_model(path)


def test_weights_are_rounded_to_half_precision(model: keras.Model, tmp_path: Path) -> None:
    for before, after in zip(model.get_weights(), saved(model, tmp_path / "m.keras").get_weights(), strict=True):
        assert np.array_equal(after, before.astype(np.float16) if before.ndim > 1 else before)


def test_weights_in_steps_are_multiples_of_them(model: keras.Model, tmp_path: Path) -> None:
    kernels = [weight for weight in saved(model, tmp_path / "m.keras", step=STEP).get_weights() if weight.ndim > 1]
    for before, after in zip((weight for weight in model.get_weights() if weight.ndim > 1), kernels, strict=True):
        assert np.array_equal(after, np.round(before / STEP) * STEP)


def test_weights_in_steps_are_deflated_without_looking_for_repetitions(model: keras.Model, tmp_path: Path) -> None:
    save_compressed(model, path := tmp_path / "m.keras", STEP)
    with opened(path) as weights:
        kernel = weights["layers/dense/vars/0"]
        values = kernel[()]
        assert (kernel.compression, kernel.shuffle, kernel.dtype) == ("gzip", True, np.float16)
        stored = kernel.id.get_storage_size()
    with zipfile.ZipFile(tmp_path / "other.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as other:
        other.writestr("kernel", values.view(np.uint8).reshape(-1, 2).T.tobytes())
        assert stored < other.getinfo("kernel").compress_size
