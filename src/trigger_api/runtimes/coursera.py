"""Imports weights of the "Trigger Word Detection" assignment of deeplearning.ai on Coursera.

The network: Conv1D of width 15 and stride 4, batch normalisation, ReLU, GRU, batch normalisation, GRU, batch
normalisation, one sigmoid unit per step. Files come from many versions of Keras: full models and weights files,
``.h5``, ``.weights.h5`` and ``.keras``. Only their arrays are read, so that nothing in them is deserialised and old
files still load. ``TimeDistributed(Dense)`` becomes ``Dense``: the same weights and output, without 1375 copies.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from trigger_api.model_card import Decision, Limits, ModelCard, SpectrogramFrontEnd, TensorSpec
from trigger_api.runtimes.shared_weights import opened

FRAMES, BINS, STEPS, STRIDE = 5_511, 101, 1_375, 4
_Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class Weights:
    """The arrays of each layer, in the order of the network."""

    convolution: _Arrays
    normalisations: list[_Arrays]
    grus: list[_Arrays]
    dense: _Arrays
    recurrent_activation: str

    @property
    def reset_after(self) -> bool:
        """Whether the GRU applies its reset gate after the matrix product: then it has two biases."""
        return self.grus[0][2].ndim == 2


def card(path: Path) -> ModelCard:
    """The card of a bare weights file: the assignment's own front end and decision.

    Raises:
        ValueError: the file is not of this network.
    """
    weights = read_weights(path)
    return ModelCard(
        task="trigger",
        name=re.sub(r"[^a-z0-9._-]+", "-", path.name.split(".")[0].lower()).strip("-._") or "exercise",
        version="1",
        description="A network trained in the Trigger Word Detection assignment, served as it is.",
        labels=("activate",),
        inputs=(TensorSpec(name="spectrogram", shape=(FRAMES, BINS)),),
        outputs=(TensorSpec(name="scores", shape=(STEPS, 1)),),
        frame_ms=STRIDE * 80 / 44.1,
        context=STEPS // 4,
        front_end=SpectrogramFrontEnd(),
        decision=Decision(threshold=0.5, patience=1, refractory_ms=545),
        limits=Limits(batch_sizes=(1, 2, 4, 8)),
        parameters=_count(weights),
    )


def read_weights(path: Path) -> Weights:
    """Read the arrays of a weights file.

    Raises:
        ValueError: the file cannot be read, or is not of this network.
    """
    try:
        with _open(path) as (file, config):
            return _identify(list(_layers(file)), config)
    except (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} is not a weights file of the Coursera network") from error


def load(path: Path) -> Any:
    """The network as a Keras model: ``(batch, 5511, 101)`` to ``(batch, 1375, 1)``."""
    weights = read_weights(path)
    model = build(
        filters=weights.convolution[1].size,
        units=weights.grus[0][1].shape[0],
        reset_after=weights.reset_after,
        recurrent_activation=_activation(weights.recurrent_activation),
    )
    first, second, third = weights.normalisations
    one, two = weights.grus
    model.set_weights([*weights.convolution, *first, *one, *second, *two, *third, *weights.dense])
    return model


def build(
    *, filters: int = 196, units: int = 128, reset_after: bool = True, recurrent_activation: Any = "sigmoid"
) -> Any:
    """The network without its dropout layers, which do nothing at inference."""
    from keras import Model, layers

    def gru(x: Any) -> Any:
        layer = layers.GRU(
            units, return_sequences=True, reset_after=reset_after, recurrent_activation=recurrent_activation
        )
        return layers.BatchNormalization()(layer(x))

    inputs = layers.Input((FRAMES, BINS), name="spectrogram")
    x = layers.BatchNormalization()(layers.Conv1D(filters, 15, strides=STRIDE)(inputs))
    x = gru(gru(layers.ReLU()(x)))
    return Model(inputs, layers.Dense(1, activation="sigmoid")(x))


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The HDF5 file, which may lie in a ``.keras`` archive, with what is known of the model's configuration."""
    if not zipfile.is_zipfile(path):
        with h5py.File(path, "r") as file:
            yield file, _legacy_config(file)
        return
    with zipfile.ZipFile(path) as archive:
        config = {"keras_version": "3", **json.loads(archive.read("config.json"))}
    with opened(path) as file:
        yield file, config


def _legacy_config(file: Any) -> dict[str, Any]:
    config = json.loads(file.attrs.get("model_config", "{}"))
    version = file.attrs.get("keras_version", "3" if "layers" in file else "2")
    return {"keras_version": str(version), **config}


def _layers(file: Any) -> Iterator[_Arrays]:
    """Each layer's arrays, in the order in which the layers were created."""
    if "layers" in file:  # Keras 3
        for name in sorted(file["layers"], key=_natural):
            yield _variables(file["layers"][name])
        return
    root = file.get("model_weights", file)
    for name in root.attrs["layer_names"]:
        group = root[name]
        yield [group[weight][()] for weight in group.attrs["weight_names"]]


def _variables(group: Any) -> _Arrays:
    """The arrays of a Keras 3 layer, its own in ``vars`` and those of inner layers deeper down."""
    found: list[tuple[str, NDArray[Any]]] = []
    group.visititems(lambda name, node: found.append((name, node[()])) if _is_variable(name, node) else None)
    return [array for _, array in sorted(found, key=lambda pair: _natural(pair[0]))]


def _is_variable(name: str, node: Any) -> bool:
    # The random seed of a GRU's dropout is not a weight.
    return isinstance(node, h5py.Dataset) and "seed" not in name


def _natural(name: str) -> tuple[str, int]:
    stem, number = re.fullmatch(r"(.*?)(?:[_/](\d+))?", name).groups()  # type: ignore[union-attr]
    return stem, int(number or 0)


def _identify(layers: list[_Arrays], config: dict[str, Any]) -> Weights:
    """Identify the layers by the shapes of their arrays."""
    shapes = [(arrays, [array.ndim for array in arrays]) for arrays in layers]
    (convolution,) = [arrays for arrays, dims in shapes if dims == [3, 1]]
    (dense,) = [arrays for arrays, dims in shapes if dims == [2, 1] and arrays[0].shape[1] == 1]
    grus = [arrays for arrays, dims in shapes if dims[:2] == [2, 2] and len(dims) == 3]
    normalisations = [arrays for arrays, dims in shapes if dims == [1, 1, 1, 1]]
    weights = Weights(convolution, normalisations, grus, dense, "")
    if convolution[0].shape[:2] != (15, BINS) or len(grus) != 2 or len(normalisations) != 3:
        raise ValueError("another network")
    return Weights(convolution, normalisations, grus, dense, _recurrent_activation(config, weights))


def _recurrent_activation(config: dict[str, Any], weights: Weights) -> str:
    """The activation in the file, or else the default of its Keras: a GRU with one bias predates ``sigmoid``."""
    default = "sigmoid" if weights.reset_after else "hard_sigmoid"
    layers = config.get("config", {})
    layers = layers.get("layers", []) if isinstance(layers, dict) else layers
    named = [layer["config"].get("recurrent_activation") for layer in layers if layer.get("class_name") == "GRU"]
    activation = str(named[0]) if named and named[0] else default
    old = activation == "hard_sigmoid" and not str(config["keras_version"]).startswith("3")
    return "keras-2-hard_sigmoid" if old else activation


def _activation(name: str) -> Any:
    """Keras 3 changed the slope of ``hard_sigmoid``: a network trained before it keeps the old one."""
    if name != "keras-2-hard_sigmoid":
        return name
    from keras import ops

    return lambda x: ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _count(weights: Weights) -> int:
    groups = [weights.convolution, *weights.normalisations, *weights.grus, weights.dense]
    return int(sum(np.size(array) for group in groups for array in group))
