"""MobileNetV2 for grey faces, from weights trained on ImageNet.

Source: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", arXiv:1801.04381, in Keras's own implementation. The second stride of two is left out, so
that a face of 48 pixels has the feature maps of one of 96; the first convolution takes one grey channel, its kernels
summed over the three colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
from keras import layers

from trigger_api.training.emotions.layers import fast_layer

_MOMENTUM = 0.95
_SCALE = 0.5  # from a standard deviation of 1 to the -1..1 that the published weights expect
_BACKBONE, _STEM = "backbone", "Conv1"
_WITHOUT_STRIDE: dict[str, dict[str, Any]] = {"block_1_pad": {"padding": 1}, "block_1_depthwise": {"strides": 1}}


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Width: one that has published weights. ``weights`` is their file; None starts from random ones."""

    alpha: float = 1.0
    weights: Path | None = None


def features(faces: Any, model_config: ModelConfig, *, training: bool) -> Any:
    """Faces ``(batch, side, side, 1)`` of mean 0 and deviation 1 to feature maps a sixteenth of their side."""
    backbone = keras.applications.MobileNetV2(
        (None, None, 3), alpha=model_config.alpha, include_top=False, weights=None
    )
    clone = partial(_clone, training=training)
    grey = layers.Input((None, None, 1))
    network = keras.models.clone_model(backbone, clone_function=clone, input_tensors=grey)
    network.name = _BACKBONE
    return network(faces * _SCALE)


def _clone(layer: Any, *, training: bool) -> Any:
    """The same layer, with the current dtype policy."""
    kind = fast_layer(type(layer)) if training else type(layer)
    changes = (
        {"momentum": _MOMENTUM} if isinstance(layer, layers.BatchNormalization) else _WITHOUT_STRIDE.get(layer.name, {})
    )
    return kind.from_config({**layer.get_config(), "dtype": keras.config.dtype_policy(), **changes})


def load_pretrained(network: keras.Model, model_config: ModelConfig) -> None:
    """Load the published weights, layer by layer, by name.

    Raises:
        OSError: they cannot be read.
        ValueError: they are of another architecture.
    """
    published = keras.applications.MobileNetV2(
        (96, 96, 3), alpha=model_config.alpha, include_top=False, weights=str(model_config.weights)
    )
    for layer in published.layers:
        if values := layer.get_weights():
            own = [value.sum(axis=2, keepdims=True) for value in values] if layer.name == _STEM else values
            network.get_layer(_BACKBONE).get_layer(layer.name).set_weights(own)
