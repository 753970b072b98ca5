"""The digit network: six small convolutions down to 7 x 7, and one dense layer that knows positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from trigger_api.tasks.digits.mnist import SIDE

_DROPOUT = 0.4


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Channels and stride of each convolution."""

    convolutions: tuple[tuple[int, int], ...] = ((24, 1), (48, 2), (64, 1), (96, 2), (96, 1), (96, 1))


def build(labels: int, model_config: ModelConfig, *, probabilities: bool) -> keras.Model:
    """Build the network, untrained.

    Input: ``digits`` float32 (28, 28, 1), ink 0..1. Output: ``scores`` float32 (labels,): probabilities, or logits to
    train with.
    """
    digits = keras.Input((SIDE, SIDE, 1), name="digits")
    x = digits
    for channels, stride in model_config.convolutions:
        x = _convolution(x, channels, stride)
    x = layers.Dropout(_DROPOUT)(layers.Flatten()(x))
    activation = "softmax" if probabilities else None
    scores = layers.Dense(labels, activation=activation, dtype="float32", name="scores")(x)
    return keras.Model({"digits": digits}, {"scores": scores})


def _convolution(x: Any, channels: int, stride: int) -> Any:
    x = layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))
