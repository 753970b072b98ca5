from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from helpers.tiny_ner import CARD
from trigger_api.model_card import CONVERTED_FILE, WEIGHTS_FILE, TensorSpec
from trigger_api.runtimes import digest, onnx_encoder, onnx_export, onnx_runtime
from trigger_api.tasks.entities.gazetteers import FEATURES
from trigger_api.training.compressed_save import save_model_folder

keras = pytest.importorskip("keras")
pytest.importorskip("tf2onnx")

from trigger_api.training.entities.network import ModelConfig, build  # noqa: E402

CONFIG = ModelConfig(vocabulary=50, labels=9, layers=2, width=32, heads=4, inner=64)
LENGTH = 16


@pytest.fixture(scope="module")
def network() -> Any:
    keras.utils.set_random_seed(1)
    return build(CONFIG)


@pytest.fixture(scope="module")
def folder(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("encoder")
    pieces, *others = CARD.inputs
    inputs = (pieces.model_copy(update={"vocab_size": 50}), *others)
    card = save_model_folder(network, made, CARD.model_copy(update={"inputs": inputs, "sha256": ""}), step=1 / 256)
    onnx_export.convert(made, card, digest(made), made)
    return made


@pytest.fixture(scope="module")
def converted(folder: Path) -> onnx_runtime.OnnxModel:
    found = onnx_runtime.find([folder], CARD, digest(folder), threads=1)
    assert found is not None
    return found


def items(batch: int) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(2)
    pieces = rng.integers(1, 50, (batch, LENGTH)).astype(np.int32)
    pieces[:, 12:] = 0
    return {
        "pieces": pieces,
        "shapes": rng.integers(0, 60, (batch, LENGTH)).astype(np.int32),
        "gazetteers": (rng.random((batch, LENGTH, FEATURES)) < 0.1).astype(np.float32),
    }


def test_a_conversion_is_near_keras(network: Any, converted: onnx_runtime.OnnxModel) -> None:
    given = items(3)
    wanted = np.asarray(network(given, training=False)["scores"])[:, :12]
    found = converted.run(given)["scores"][:, :12]
    assert found.shape == (3, 12, 9)
    assert np.abs(found - wanted).max() < 0.1 * np.abs(wanted).max()


def test_an_item_does_not_depend_on_its_batch(converted: onnx_runtime.OnnxModel) -> None:
    given = items(4)
    together = converted.run(given)["scores"]
    for index in range(4):
        alone = converted.run({name: tensor[index : index + 1] for name, tensor in given.items()})["scores"]
        assert np.abs(together[index, :12] - alone[0, :12]).max() < 1e-4


def test_the_kernels_lie_in_the_keras_file_alone(folder: Path) -> None:
    graph = onnx.load(folder / CONVERTED_FILE, load_external_data=False).graph
    kernels = [tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert len(kernels) == 2 * 6 + 1
    assert not any(tensor.raw_data for tensor in kernels)


def test_a_conversion_beside_another_file_does_not_serve(folder: Path, tmp_path: Path) -> None:
    inputs = keras.Input((3,))
    other = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    other.save(tmp_path / WEIGHTS_FILE)
    with capture_logs() as logs:
        found = onnx_runtime.find([folder], CARD, digest(folder), weights=tmp_path / WEIGHTS_FILE, threads=1)
    assert found is None
    assert logs[0]["event"] == "conversion was made from other weights"


def test_other_networks_are_no_encoder() -> None:
    inputs = keras.Input((3,))
    assert not onnx_encoder.is_encoder(keras.Model(inputs, keras.layers.Dense(2)(inputs)))


def test_words_are_sampled_from_the_whole_vocabulary() -> None:
    spec = TensorSpec(name="pieces", shape=(200,), dtype="int32", vocab_size=50)
    assert onnx_export._noise(spec, np.random.default_rng(0)).max() > 40
