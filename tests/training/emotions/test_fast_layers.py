from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from trigger_api.training.emotions.fast_layers import FastConv2D, FastDepthwiseConv2D, FusedBatchNormalization
from trigger_api.training.emotions.layers import fast_layer

PICTURES = tf.constant(np.random.default_rng(0).normal(size=(4, 9, 9, 3)).astype(np.float32))


@pytest.mark.parametrize(
    ("quick", "slow", "settings"),
    [
        (FusedBatchNormalization, layers.BatchNormalization, {}),
        (FastConv2D, layers.Conv2D, {"filters": 5, "kernel_size": 1}),
        (FastConv2D, layers.Conv2D, {"filters": 5, "kernel_size": 3, "strides": 2}),
        (FastDepthwiseConv2D, layers.DepthwiseConv2D, {"kernel_size": 3, "padding": "same", "use_bias": False}),
        (FastDepthwiseConv2D, layers.DepthwiseConv2D, {"kernel_size": 3, "use_bias": False}),
        (FastDepthwiseConv2D, layers.DepthwiseConv2D, {"kernel_size": 3, "strides": 2, "use_bias": False}),
    ],
)
def test_fast_layers_compute_what_keras_s_layers_do(quick: Any, slow: Any, settings: dict[str, Any]) -> None:
    first, second = quick(**settings), slow(**settings)
    first.build(PICTURES.shape)
    second.build(PICTURES.shape)
    second.set_weights(first.get_weights())
    for training in (True, False):
        own, other = (_answers(layer, training) for layer in (first, second))
        for mine, theirs in zip(own, other, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=2e-3)


def _answers(layer: keras.Layer, training: bool) -> list[Any]:
    """Its outputs, its gradients, and its weights afterwards."""
    with tf.GradientTape() as tape:
        tape.watch(PICTURES)
        y = layer(PICTURES, training=training)
        value = tf.reduce_sum(tf.sin(y))
    slopes = tape.gradient(value, [PICTURES, *layer.trainable_variables])
    return [y.numpy(), *(slope.numpy() for slope in slopes), *layer.get_weights()]


def test_other_backends_train_keras_s_own_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fast_layer(layers.Conv2D) is FastConv2D
    assert fast_layer(layers.ReLU) is layers.ReLU
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert fast_layer(layers.Conv2D) is layers.Conv2D
