from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.model_card import SpectrogramFrontEnd
from trigger_api.runtimes import coursera

keras = pytest.importorskip("keras")
Array = NDArray[np.float32]


def as_in_the_exercise(*, reset_after: bool = True, recurrent_activation: str = "sigmoid") -> Any:
    """The network as the exercise's notebook builds it, with weights that are not the initial ones."""
    from keras import layers

    options = {"return_sequences": True, "reset_after": reset_after, "recurrent_activation": recurrent_activation}
    keras.utils.set_random_seed(3)
    inputs = layers.Input((coursera.FRAMES, coursera.BINS))
    x = layers.Conv1D(196, kernel_size=15, strides=4)(inputs)
    x = layers.Dropout(0.8)(layers.Activation("relu")(layers.BatchNormalization()(x)))
    x = layers.BatchNormalization()(layers.Dropout(0.8)(layers.GRU(128, **options)(x)))
    x = layers.BatchNormalization()(layers.Dropout(0.8)(layers.GRU(128, **options)(x)))
    x = layers.TimeDistributed(layers.Dense(1, activation="sigmoid"))(layers.Dropout(0.8)(x))
    model = keras.Model(inputs, x)
    generator = np.random.default_rng(0)
    model.set_weights([w + generator.uniform(0, 0.05, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def clip() -> Array:
    return np.random.default_rng(2).random((1, coursera.FRAMES, coursera.BINS), np.float32)


def scores_of(model: Any, clip: Array) -> Array:
    """The model's own scores; its last layer, which Keras would copy 1375 times, is worked out here."""
    hidden = keras.Model(model.input, model.layers[-2].output)
    kernel, bias = model.layers[-1].get_weights()
    values = fast(hidden, clip) @ kernel + bias
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def fast(model: Any, clip: Array) -> Array:
    """The model's output, compiled: step by step, recurrent layers take half a minute."""
    import tensorflow as tf

    function = tf.function(lambda x: model(x, training=False), jit_compile=True, autograph=False)
    return np.asarray(function(tf.constant(clip)))


@pytest.fixture(scope="module")
def original(clip: Array) -> tuple[Any, Array]:
    model = as_in_the_exercise()
    return model, scores_of(model, clip)


@pytest.mark.parametrize("name", ["tr_model.h5", "tr_model.keras", "tr_model.weights.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_every_kind_of_file_gives_the_same_scores(
    original: tuple[Any, Array], clip: Array, tmp_path: Path, name: str
) -> None:
    model, wanted = original
    path = tmp_path / name
    model.save_weights(path) if ".weights." in name else model.save(path)
    scores = fast(coursera.load(path), clip)
    assert scores.shape == (1, coursera.STEPS, 1)
    assert np.abs(scores - wanted).max() < 1e-6
    assert wanted.std() > 1e-4


def legacy(path: Path, model: Any, config: dict[str, Any] | None, root: str = "") -> None:
    """Write the model's weights as Keras 1 and 2 did: a group a layer, named in attributes."""
    with h5py.File(path, "w") as file:
        group = file.create_group(root) if root else file
        layers = [layer for layer in model.layers if layer.weights]
        group.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            names = [f"{layer.name}/{i}:0" for i in range(len(layer.weights))]
            inner = group.create_group(layer.name)
            inner.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.get_weights(), strict=True):
                inner[name] = weight
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["keras_version"] = b"2.2.4"


@pytest.mark.parametrize(
    ("config", "root"),
    [
        (None, ""),
        (
            {"config": {"layers": [{"class_name": "GRU", "config": {"recurrent_activation": "hard_sigmoid"}}]}},
            "model_weights",
        ),
        ({"config": [{"class_name": "GRU", "config": {}}]}, "model_weights"),
    ],
)
@pytest.mark.slow
def test_files_of_old_keras_keep_its_gru(clip: Array, tmp_path: Path, config: dict[str, Any] | None, root: str) -> None:
    model = as_in_the_exercise(reset_after=False, recurrent_activation="hard_sigmoid")
    path = tmp_path / "tr_model.h5"
    legacy(path, model, config, root)
    weights = coursera.read_weights(path)
    assert not weights.reset_after
    assert weights.recurrent_activation == "keras-2-hard_sigmoid"
    # Keras 3's hard sigmoid has another slope, so this network must differ from ours, though not by much.
    difference = np.abs(fast(coursera.load(path), clip) - scores_of(model, clip))
    assert 1e-6 < difference.max() < 0.5


def test_the_old_hard_sigmoid_keeps_its_slope() -> None:
    activation = coursera._activation("keras-2-hard_sigmoid")
    assert np.allclose(activation(np.array([-3.0, -1.0, 0.0, 1.0, 3.0], np.float32)), [0, 0.3, 0.5, 0.7, 1])


def test_the_card_is_recognised_from_the_shapes(original: tuple[Any, Array], tmp_path: Path) -> None:
    path = tmp_path / "My Model.keras"
    original[0].save(path)
    card = coursera.card(path)
    assert (card.task, card.name, card.version) == ("trigger", "my-model", "1")
    assert card.inputs[0].shape == (5_511, 101)
    assert card.outputs[0].shape == (1_375, 1)
    assert isinstance(card.front_end, SpectrogramFrontEnd)
    assert card.parameters == original[0].count_params()


def test_another_network_is_rejected(tmp_path: Path) -> None:
    other = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    other.save(tmp_path / "other.keras")
    (tmp_path / "text.h5").write_text("text")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    three = as_in_the_exercise()
    two = keras.Model(three.input, three.layers[-4].output)
    two.save(tmp_path / "half.keras")
    for name in ("other.keras", "text.h5", "empty.h5", "half.keras", "absent.h5"):
        with pytest.raises(ValueError, match="not a weights file of the Coursera network"):
            coursera.read_weights(tmp_path / name)
