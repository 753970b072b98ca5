"""Weights for the named-entity encoder, read from a published MiniLM."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Arrays = Mapping[str, NDArray[np.float32]]

# BERT's activation x * Phi(x) is within 0.02 of x * sigmoid(1.702 x), whose gradient takes a third of the time.
_SIGMOID = 1.702


@dataclass(frozen=True, slots=True)
class Published:
    """A published BERT: its arrays by their PyTorch names, its vocabulary, and its sizes."""

    arrays: Arrays
    vocabulary: list[str]
    layers: int
    heads: int


def read_published(folder: Path) -> Published:
    """Read the folder of a published BERT: ``model.safetensors``, ``vocab.txt``, ``config.json``.

    Raises:
        OSError: one of the files cannot be read.
    """
    from safetensors.numpy import load_file

    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    config = json.loads((folder / "config.json").read_bytes())
    arrays = load_file(folder / "model.safetensors")
    return Published(arrays, vocabulary, config["num_hidden_layers"], config["num_attention_heads"])


def load_pretrained(network: keras.Model, arrays: Arrays, rows: Sequence[int]) -> None:
    """Set the encoder's weights from a published BERT, whose vocabulary is cut to ``rows``."""
    table = arrays["embeddings.word_embeddings.weight"]
    network.get_layer("piece_embedding").set_weights([table[list(rows)]])
    positions = network.get_layer("position_embedding")
    # There is one type of sentence only: its embedding is added to those of the positions.
    table = arrays["embeddings.position_embeddings.weight"][: positions.input_dim]
    positions.set_weights([table + arrays["embeddings.token_type_embeddings.weight"][0]])
    _set(network, "embedding_norm", arrays, "embeddings.LayerNorm")
    index = 0
    while f"layer{index}_norm" in {layer.name for layer in network.layers}:
        _load_layer(network, arrays, f"layer{index}", f"encoder.layer.{index}")
        index += 1


def _load_layer(network: keras.Model, arrays: Arrays, ours: str, theirs: str) -> None:
    attention = network.get_layer(f"{ours}_attention")
    shapes = [weight.shape for weight in attention.weights]
    names = [f"{theirs}.attention.{part}" for part in ("self.query", "self.key", "self.value", "output.dense")]
    flat = [array for name in names for array in (arrays[f"{name}.weight"].T, arrays[f"{name}.bias"])]
    attention.set_weights([array.reshape(shape) for array, shape in zip(flat, shapes, strict=True)])
    _set(network, f"{ours}_attention_norm", arrays, f"{theirs}.attention.output.LayerNorm")
    _set(network, f"{ours}_inner", arrays, f"{theirs}.intermediate.dense", _SIGMOID)
    _set(network, f"{ours}_outer", arrays, f"{theirs}.output.dense")
    kernel, bias = network.get_layer(f"{ours}_outer").get_weights()
    network.get_layer(f"{ours}_outer").set_weights([kernel / _SIGMOID, bias])
    _set(network, f"{ours}_norm", arrays, f"{theirs}.output.LayerNorm")


def _set(network: keras.Model, ours: str, arrays: Arrays, theirs: str, scale: float = 1) -> None:
    network.get_layer(ours).set_weights([scale * arrays[f"{theirs}.weight"].T, scale * arrays[f"{theirs}.bias"]])
