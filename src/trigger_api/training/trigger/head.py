"""The head of a word: a few small dense networks, side by side, that slide over a recording's embeddings.

A score is the mean logit of all members over the latest positions: what only one member takes for the word, or all of
them for a moment, is not enough. A head takes ``embeddings [T, 96]`` and gives ``scores [T - context]``; score k is of
the embeddings k to k + context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.runtimes.speech_embedding import EMBEDDING

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """Each of `members` looks at `steps` embeddings through two layers of `width`; a score is of `recent` positions."""

    steps: int = 10
    width: int = 48
    members: int = 4
    recent: int = 3

    @property
    def context(self) -> int:
        """Embeddings before the latest one that a score leans on."""
        return self.steps + self.recent - 2


def training_network(shape: Shape, mean: Numbers, deviation: Numbers, dropout: float) -> Any:
    """All members as they are trained: ``embeddings [T, 96]`` to ``logits [T - steps + 1, members]``.

    `mean` and `deviation` bring each of the 96 numbers to about -1..1.
    """
    import keras
    from keras import layers

    embeddings = keras.Input((None, EMBEDDING), name="embeddings")
    normal = layers.Normalization(mean=mean.tolist(), variance=(deviation**2).tolist(), name="normal")(embeddings)
    return keras.Model(embeddings, _logits(normal, shape, dropout), name="trigger_training")


def _logits(x: Any, shape: Shape, dropout: float) -> Any:
    """The first layer of all members is one; from there on each goes its own way."""
    from keras import layers, ops

    width = shape.members * shape.width
    first = layers.Conv1D(width, shape.steps, activation="relu", kernel_initializer="he_normal", name="first")
    x = first(layers.Dropout(dropout)(x))
    parts = [x[..., number * shape.width : (number + 1) * shape.width] for number in range(shape.members)]
    return ops.concatenate([_member(part, shape.width, dropout, n) for n, part in enumerate(parts)], axis=-1)


def _member(x: Any, width: int, dropout: float, number: int) -> Any:
    from keras import layers

    x = layers.Conv1D(width, 1, activation="relu", name=f"second{number}")(layers.Dropout(dropout)(x))
    return layers.Conv1D(1, 1, name=f"logit{number}")(x)


def serving_network(trained: Any, shape: Shape) -> Any:
    """The model to serve: ``embeddings [T, 96]`` to ``scores [T - context]`` in 0..1.

    The normalisation is folded into the first layer's weights.
    """
    import keras
    from keras import layers, ops

    embeddings = keras.Input((None, EMBEDDING), name="embeddings")
    logits = ops.mean(_logits(embeddings, shape, 0.0), axis=-1, keepdims=True)
    scores = layers.Reshape((-1,))(ops.sigmoid(layers.AveragePooling1D(shape.recent, 1)(logits)))
    model = keras.Model({"embeddings": embeddings}, {"scores": scores}, name="trigger_head")
    model.get_layer("first").set_weights(_folded(trained))
    for name in (f"{layer}{number}" for layer in ("second", "logit") for number in range(shape.members)):
        model.get_layer(name).set_weights(trained.get_layer(name).get_weights())
    return model


def _folded(trained: Any) -> list[Numbers]:
    """The first layer's weights for embeddings that are not normalised."""
    kernel, bias = trained.get_layer("first").get_weights()
    normal = trained.get_layer("normal").get_config()
    mean, deviation = np.ravel(normal["mean"])[:, None], np.sqrt(np.ravel(normal["variance"]))[:, None]
    return [kernel / deviation, bias - (mean * kernel / deviation).sum(axis=(0, 1))]
