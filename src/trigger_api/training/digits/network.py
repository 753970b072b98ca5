"""The digit network: six small convolutions that end at 7 x 7, and one dense layer that sees where each thing is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trigger_api.tasks.digits.mnist import SIDE

if TYPE_CHECKING:
    import keras

_DROPPED = 0.4


@dataclass(frozen=True, slots=True)
class Plan:
    """Channels of each convolution and how far it steps."""

    convolutions: tuple[tuple[int, int], ...] = ((24, 1), (48, 2), (64, 1), (96, 2), (96, 1), (96, 1))


def build(labels: int, plan: Plan, *, probabilities: bool) -> keras.Model:
    """Build the network, untrained.

    Input: ``digits`` float32 (28, 28, 1), ink 0..1. Output: ``scores`` float32 (labels,), as probabilities or, to learn
    by, before the softmax.
    """
    import keras
    from keras import layers

    digits = keras.Input((SIDE, SIDE, 1), name="digits")
    x = digits
    for channels, stride in plan.convolutions:
        x = _convolution(x, channels, stride)
    x = layers.Dropout(_DROPPED)(layers.Flatten()(x))
    activation = "softmax" if probabilities else None
    scores = layers.Dense(labels, activation=activation, dtype="float32", name="scores")(x)
    return keras.Model({"digits": digits}, {"scores": scores})


def _convolution(x: Any, channels: int, stride: int) -> Any:
    from keras import layers

    x = layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))
