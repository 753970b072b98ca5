from __future__ import annotations

import ctypes
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from helpers.beep import add_model
from helpers.memory import resident_mib
from trigger_api import runtimes
from trigger_api.model_card import CONVERTED_FILE, WEIGHTS_FILE, ModelCard, TensorSpec
from trigger_api.observability.memory import malloc_trim
from trigger_api.runtimes import (
    LoadOptions,
    conversion,
    coursera,
    digest,
    keras_tensorflow,
    load,
    onnx_export,
    onnx_runtime,
    servable,
)

keras = pytest.importorskip("keras")


def make_card() -> ModelCard:
    return ModelCard(
        task="digits",
        name="small",
        version="1",
        inputs=(TensorSpec(name="features", shape=(-1, 3)), TensorSpec(name="state", shape=(2,))),
        outputs=(TensorSpec(name="scores", shape=(-1,)), TensorSpec(name="state", shape=(2,))),
        sequence_lengths=(4, 9),
    )


def small() -> Any:
    keras.utils.set_random_seed(1)
    features, state = keras.Input((None, 3), name="features"), keras.Input((2,), name="state")
    normal = keras.layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(features)  # no variables
    hidden = keras.layers.Conv1D(4, 3, padding="causal", activation="relu")(normal)
    scores = keras.layers.Dense(1, activation="sigmoid")(hidden)[..., 0]
    return keras.Model([features, state], {"scores": scores, "state": state * 2})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = add_model(tmp_path_factory.mktemp("models"), make_card())
    small().save(made / WEIGHTS_FILE)
    return made


@pytest.fixture(scope="module")
def converted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted")
    onnx_export.convert(folder, make_card(), digest(folder), out)
    return out


@pytest.fixture
def own(folder: Path, converted: Path, tmp_path: Path) -> Path:
    """A model folder with its conversion inside, to be spoilt."""
    made = tmp_path / "own"
    shutil.copytree(folder, made)
    shutil.copytree(converted, made, dirs_exist_ok=True)
    return made


def tensors(batch: int, length: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(3)
    shapes = {"features": (batch, length, 3), "state": (batch, 2)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


class TestServing:
    @pytest.mark.parametrize(("batch", "length"), [(1, 4), (3, 9)])
    def test_a_conversion_equals_keras_at_every_shape(self, folder: Path, own: Path, batch: int, length: int) -> None:
        network = load(own, make_card(), LoadOptions())
        assert isinstance(network, onnx_runtime.OnnxModel)
        given = tensors(batch, length)
        answer = network.compile(make_card().inputs, batch)(given)
        wanted = small()([given["features"], given["state"]], training=False)
        for name in ("scores", "state"):
            assert np.abs(answer[name] - np.asarray(wanted[name])).max() < 1e-5

    @pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
    def test_memory_of_a_large_batch_is_returned(self, own: Path) -> None:
        network = load(own, make_card(), LoadOptions())
        runner = network.compile(make_card().inputs, 1)
        runner(tensors(1, 9))
        before = resident_mib()
        runner(tensors(64, 50_000))
        malloc_trim()
        assert resident_mib() - before < 16

    def test_a_conversion_of_other_weights_does_not_serve(self, own: Path) -> None:
        small_again = small()
        small_again.set_weights([weight + 1 for weight in small_again.get_weights()])
        small_again.save(own / WEIGHTS_FILE)
        with capture_logs() as logs:
            assert isinstance(load(own, make_card(), LoadOptions()), keras_tensorflow.KerasModel)
        assert logs[0]["event"] == "conversion was made from other weights"

    def test_a_conversion_with_other_outputs_does_not_serve(self, own: Path) -> None:
        with np.load(own / onnx_runtime.SAMPLES_FILE) as stored:
            samples = dict(stored)
        samples["out:scores"] += 0.01
        np.savez(own / onnx_runtime.SAMPLES_FILE, **samples)
        with capture_logs() as logs:
            assert isinstance(load(own, make_card(), LoadOptions()), keras_tensorflow.KerasModel)
        assert logs[0]["event"] == "conversion differs from Keras"

    def test_tensorflow_can_be_chosen(self, own: Path) -> None:
        assert isinstance(load(own, make_card(), LoadOptions(kind="tensorflow")), keras_tensorflow.KerasModel)


class TestCache:
    @pytest.mark.slow
    def test_a_model_is_converted_once(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        options = LoadOptions(cache=tmp_path)
        assert isinstance(load(folder, make_card(), options), onnx_runtime.OnnxModel)
        assert (tmp_path / digest(folder) / CONVERTED_FILE).exists()
        monkeypatch.setattr(conversion, "convert", lambda *_: pytest.fail("converted again"))
        assert isinstance(load(folder, make_card(), options), onnx_runtime.OnnxModel)

    def test_what_cannot_be_converted_is_served_by_keras(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(conversion, "convert", lambda *_: False)
        assert isinstance(load(folder, make_card(), LoadOptions(cache=tmp_path)), keras_tensorflow.KerasModel)

    def test_onnx_without_a_conversion_is_an_error(self, folder: Path) -> None:
        with pytest.raises(ValueError, match="not converted for ONNX Runtime"):
            load(folder, make_card(), LoadOptions(kind="onnx"))

    def test_without_any_runtime_it_says_what_to_install(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
        with pytest.raises(ValueError, match=r"install trigger-api\[tensorflow\]"):
            load(folder, make_card(), LoadOptions())


class TestExercise:
    @pytest.mark.parametrize(
        ("reset_after", "activation"), [(True, "sigmoid"), (True, "hard_sigmoid"), (False, "sigmoid")]
    )
    @pytest.mark.slow
    def test_its_gru_is_an_onnx_operator(self, tmp_path: Path, reset_after: bool, activation: str) -> None:
        import onnx as onnx_format

        model = coursera.build(filters=8, units=6, reset_after=reset_after, recurrent_activation=activation)
        rng = np.random.default_rng(0)
        model.set_weights([np.abs(w + rng.normal(0, 0.1, w.shape)).astype(w.dtype) for w in model.get_weights()])
        path = tmp_path / "tr_model.keras"
        model.save(path)
        card = coursera.card(path)
        onnx_export.convert(path, card, digest(path), tmp_path / "out")
        graph = onnx_format.load(tmp_path / "out" / CONVERTED_FILE)
        operators = [node.op_type for node in graph.graph.node]
        assert operators.count("GRU") == 2
        assert not {"Loop", "Scan"} & set(operators)
        network = onnx_runtime.find([tmp_path / "out"], card, digest(path), threads=1)
        assert network is not None
        assert onnx_runtime.max_difference(network, tmp_path / "out" / onnx_runtime.SAMPLES_FILE) < 1e-5


def test_a_recurrent_layer_of_another_model_is_rejected(tmp_path: Path) -> None:
    spec = TensorSpec(name="x", shape=(5, 2))
    card = make_card().model_copy(
        update={"inputs": (spec,), "outputs": (TensorSpec(name="y", shape=(5, 3)),), "sequence_lengths": ()}
    )
    folder = add_model(tmp_path, card)
    x = keras.Input((5, 2), name="x")
    keras.Model(x, keras.layers.SimpleRNN(3, return_sequences=True)(x)).save(folder / WEIGHTS_FILE)
    with pytest.raises(ValueError, match="recurrent layer"):
        onnx_export.convert(folder, card, digest(folder), tmp_path / "out")


def test_a_conversion_that_wants_more_than_the_card_says_is_none(own: Path) -> None:
    card = make_card().model_copy(update={"inputs": make_card().inputs[:1]})
    assert onnx_runtime.find([own], card, digest(own), threads=1) is None


def test_indices_are_sampled_as_integers() -> None:
    samples = onnx_export._noise(TensorSpec(name="x", shape=(4,), dtype="int32"), np.random.default_rng(0))
    assert samples.dtype == np.int32
    assert samples.min() >= 0


def test_without_tensorflow_only_conversions_are_servable(
    folder: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = LoadOptions(cache=own / "cache")
    assert servable(folder, options)
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    assert not servable(folder, options)
    assert servable(own, options)
