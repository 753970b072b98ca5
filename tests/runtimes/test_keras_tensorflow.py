from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trigger_api.model_card import WEIGHTS_FILE, ModelCard, TensorSpec
from trigger_api.runtimes import LoadOptions, keras_tensorflow, load

keras = pytest.importorskip("keras")

SPECS = (TensorSpec(name="a", shape=(-1, 2)), TensorSpec(name="b", shape=(2,)))
SUM = (TensorSpec(name="sum", shape=(-1, 2)), TensorSpec(name="last", shape=(2,)))


def make_card(inputs: tuple[TensorSpec, ...] = SPECS, outputs: tuple[TensorSpec, ...] = SUM) -> ModelCard:
    return ModelCard(task="digits", name="sum", version="1", inputs=inputs, outputs=outputs)


def summing(*, names: tuple[str, str] = ("a", "b"), named_outputs: bool = False) -> Any:
    a, b = keras.Input((None, 2), name=names[0]), keras.Input((2,), name=names[1])
    total = a + 10 * b[:, None, :]
    outputs = {"last": total[:, -1], "sum": total} if named_outputs else [total, total[:, -1]]
    return keras.Model([b, a] if named_outputs else [a, b], outputs)


@pytest.fixture
def tensors() -> dict[str, np.ndarray[Any, Any]]:
    return {"a": np.arange(12, dtype=np.float32).reshape(2, 3, 2), "b": np.ones((2, 2), np.float32)}


@pytest.mark.parametrize(
    "model",
    [summing(), summing(named_outputs=True), summing(names=("x", "y"))],
    ids=["in card order", "named, in another order", "unnamed"],
)
def test_tensors_go_by_the_cards_names(model: Any, tensors: dict[str, Any]) -> None:
    network = keras_tensorflow.KerasModel(model, make_card())
    run = network.compile([SPECS[0].model_copy(update={"shape": (3, 2)}), SPECS[1]], 2)
    answer = run(tensors)
    assert answer["sum"].tolist() == (tensors["a"] + 10).tolist()
    assert answer["last"].tolist() == (tensors["a"][:, -1] + 10).tolist()


def test_one_plain_function_serves_every_shape(tensors: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[object] = []
    network = keras_tensorflow.KerasModel(summing(), make_card())

    def call(given: Any) -> Any:
        traced.append(given)
        return keras_tensorflow.KerasModel.call(network, given)

    monkeypatch.setattr(network, "call", call)
    monkeypatch.setattr(
        keras_tensorflow, "_best_time", lambda runner, example: 1
    )  # of equals the first stays: the plain one
    for length, batch in ((3, 2), (2, 2), (3, 1)):
        run = network.compile([SPECS[0].model_copy(update={"shape": (length, 2)}), SPECS[1]], batch)
        part = {"a": tensors["a"][:batch, :length], "b": tensors["b"][:batch]}
        assert run(part)["sum"].tolist() == (part["a"] + 10).tolist()
    assert len(traced) == 2, "once plainly, and once for XLA to try"


def test_a_card_with_another_number_of_inputs_is_rejected() -> None:
    with pytest.raises(ValueError, match="has 1 inputs, but the model has 2"):
        keras_tensorflow.KerasModel(summing(), make_card(inputs=SPECS[:1]))


def test_what_xla_cannot_compile_runs_without_it() -> None:
    strings = keras.Input((1,), name="a")

    class Unique(keras.layers.Layer):  # type: ignore[misc,name-defined]
        def call(self, x: Any) -> Any:
            import tensorflow as tf

            return tf.reshape(tf.unique(tf.reshape(x, [-1]))[0][:1], (1, 1))

    model = keras.Model(strings, Unique()(strings))
    spec = TensorSpec(name="a", shape=(1,))
    run = keras_tensorflow.KerasModel(model, make_card((spec,), (spec,))).compile([spec], 1)
    assert run({"a": np.full((1, 1), 7, np.float32)})["a"].tolist() == [[7]]


def test_load_reads_a_model_folder(tmp_path: Path, tensors: dict[str, Any]) -> None:
    summing().save(tmp_path / WEIGHTS_FILE)
    network = load(tmp_path, make_card(), LoadOptions(kind="tensorflow", inference_threads=2))
    run = network.compile([SPECS[0].model_copy(update={"shape": (3, 2)}), SPECS[1]], 2)
    assert run(tensors)["last"].shape == (2, 2)


def test_code_in_a_model_file_is_not_executed(tmp_path: Path) -> None:
    inputs = keras.Input((1,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(tmp_path / WEIGHTS_FILE)
    with pytest.raises(ValueError, match="unsafe"):
        load(tmp_path, make_card(), LoadOptions(kind="tensorflow"))
