"""The trigger network: small, causal, convolutional, ``f(features, state) -> (scores, state)``.

A model is one such network or several, whose logits are averaged: networks that learned otherwise are mistaken about
other sounds. The latest logits may be averaged, too.

Trained as plain causal convolutions with batch normalisation; saved as the same arithmetic with the normalisation
folded into the weights and every layer's past handed in and out as a slice of the state. A zero state is the silence
in front of a stream, which is what causal padding is in training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SILENT = -10.0  # the logit of silence


@dataclass(frozen=True)
class Layer:
    """One convolution: kernel size and stride in frames of its input, channels out, and whether it adds its input."""

    kernel: int
    stride: int
    channels: int
    residual: bool = False

    @property
    def past(self) -> int:
        """Frames of input that a convolution needs from before the first one."""
        return self.kernel - self.stride


@dataclass(frozen=True)
class Shape:
    """The network's plan. Two strided layers, residual ones at the slow rate, and one output.

    A score comes of so many `recent` logits, the latest of which counts most.
    """

    bands: int = 40
    stem: tuple[Layer, ...] = (Layer(5, 2, 40), Layer(5, 2, 48))
    body: tuple[Layer, ...] = (Layer(7, 1, 48, residual=True),) * 5
    recent: int = 1

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All convolutions, in order."""
        return (*self.stem, *self.body)

    @property
    def stride(self) -> int:
        """Feature frames for one score."""
        return int(np.prod([layer.stride for layer in self.layers]))

    @property
    def context(self) -> int:
        """Scores at a window's start that lean on frames before it."""
        frames, stride = 0, 1
        for layer in self.layers:
            frames, stride = frames + layer.past * stride, stride * layer.stride
        return -(-frames // self.stride) + self.recent - 1

    @property
    def state(self) -> int:
        """Numbers that a stream carries, for one network."""
        widths = [self.bands, *(layer.channels for layer in self.layers)]
        return sum(layer.past * width for layer, width in zip(self.layers, widths, strict=False))

    @property
    def recency(self) -> NDArray[np.float32]:
        """Weights of the recent logits, from the oldest to the latest; their sum is 1."""
        rising = np.arange(1, self.recent + 1, dtype=np.float32)
        return np.asarray(rising / rising.sum(), np.float32)


def training_network(shape: Shape) -> Any:
    """The network as it is trained: features ``(B, T, bands)`` to logits ``(B, T / stride)``."""
    import keras

    x = inputs = keras.Input((None, shape.bands), name="features")
    for number, layer in enumerate(shape.layers):
        y = keras.layers.ZeroPadding1D((layer.past, 0))(x)
        y = keras.layers.Conv1D(layer.channels, layer.kernel, layer.stride, use_bias=False, name=f"conv{number}")(y)
        y = keras.layers.BatchNormalization(name=f"norm{number}")(y)
        y = keras.layers.ReLU()(y)
        x = keras.layers.Add()([x, y]) if layer.residual else y
    x = keras.layers.Dense(1, name="word")(x)
    return keras.Model(inputs, keras.layers.Reshape((-1,))(x), name="trigger_training")


def together(networks: Sequence[Any], shape: Shape) -> Callable[..., Any]:
    """Networks as they are trained, asked as one: the mean of their logits, and of the recent ones."""
    from keras import ops

    def logits(features: NDArray[np.float32], *, training: bool = False) -> Any:
        mean = sum(net(features, training=training) for net in networks) / len(networks)
        heard = ops.pad(mean, ((0, 0), (shape.recent - 1, 0)), constant_values=_SILENT)
        return sum(weight * heard[:, k : k + mean.shape[1]] for k, weight in enumerate(shape.recency))

    return logits


def folded(networks: Sequence[Any], shape: Shape) -> Any:
    """The model to serve: what trained networks do together at inference.

    Inputs: `features` and `state`; outputs: `scores` in 0..1 and `state`, each network's part after the other's and
    then the recent logits.
    """
    import keras

    ends = [number * shape.state for number in range(len(networks) + 1)]
    features = keras.Input((None, shape.bands), name="features")
    state = keras.Input((ends[-1] + shape.recent - 1,), name="state")
    answers = [
        _member(network, shape, number)({"features": features, "state": state[:, start:end]})
        for number, (network, (start, end)) in enumerate(zip(networks, pairwise(ends), strict=True))
    ]
    carried = [answer["state"] for answer in answers]
    logits = keras.layers.Average()([answer["logits"] for answer in answers])
    if shape.recent > 1:
        logits, past = _smoothed(logits, state[:, ends[-1] :], shape)
        carried.append(past)
    scores = keras.layers.Reshape((-1,))(keras.layers.Activation("sigmoid")(logits))
    outputs = {"scores": scores, "state": keras.layers.Concatenate()(carried)}
    return keras.Model({"features": features, "state": state}, outputs, name="trigger")


def _smoothed(logits: Any, state: Any, shape: Shape) -> tuple[Any, Any]:
    """Logits ``(B, T, 1)`` averaged with those before them, and the state to carry. A state of zero is silence."""
    import keras

    past = keras.layers.Reshape((shape.recent - 1, 1))(state + _SILENT)
    heard = keras.layers.Concatenate(axis=1)([past, logits])
    recent = keras.layers.Conv1D(1, shape.recent, use_bias=False, name="recent")
    smooth = recent(heard)
    recent.set_weights([shape.recency[:, None, None]])
    return smooth, keras.layers.Reshape((shape.recent - 1,))(heard[:, 1 - shape.recent :]) - _SILENT


def _member(trained: Any, shape: Shape, number: int) -> Any:
    """A network that computes, of a stream, the logits of `trained` at inference."""
    serving = _serving_network(shape, f"network{number}")
    for layer in range(len(shape.layers)):
        kernel = trained.get_layer(f"conv{layer}").get_weights()[0]
        norm = trained.get_layer(f"norm{layer}")
        serving.get_layer(f"conv{layer}").set_weights(_fold(kernel, norm.get_weights(), norm.epsilon))
    serving.get_layer("word").set_weights(trained.get_layer("word").get_weights())
    return serving


def _serving_network(shape: Shape, name: str) -> Any:
    """One network as it is served: `features` and `state` to `logits` and `state`."""
    import keras

    x = features = keras.Input((None, shape.bands), name="features")
    state = keras.Input((shape.state,), name="state")
    pasts, offset = [], 0
    for number, layer in enumerate(shape.layers):
        width = int(x.shape[-1])
        past = keras.layers.Reshape((layer.past, width))(state[:, offset : offset + layer.past * width])
        offset += layer.past * width
        heard = keras.layers.Concatenate(axis=1)([past, x])
        pasts.append(keras.layers.Reshape((layer.past * width,))(heard[:, -layer.past :]))
        y = keras.layers.Conv1D(layer.channels, layer.kernel, layer.stride, activation="relu", name=f"conv{number}")(
            heard
        )
        x = keras.layers.Add()([x, y]) if layer.residual else y
    outputs = {"logits": keras.layers.Dense(1, name="word")(x), "state": keras.layers.Concatenate()(pasts)}
    return keras.Model({"features": features, "state": state}, outputs, name=name)


def _fold(
    kernel: NDArray[np.float32], norm: Sequence[NDArray[np.float32]], epsilon: float
) -> list[NDArray[np.float32]]:
    """A convolution and its normalisation (gain, offset, mean, variance) as one kernel and bias."""
    gain, offset, mean, variance = norm
    scale = gain / np.sqrt(variance + epsilon)
    return [kernel * scale, offset - mean * scale]
