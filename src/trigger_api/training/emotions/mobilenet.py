"""MobileNetV2 for grey faces, from weights that know ImageNet.

Source: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", arXiv:1801.04381, by Keras's own implementation. The second step by two is left out, so
that behind it a face of 48 pixels is seen as closely as one of 96; the first convolution takes one grey channel, its
kernels summed over the three colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
from keras import layers

from trigger_api.training.emotions.layers import faster

_MOMENTUM = 0.95
_BRIGHT = 0.5  # a deviation of one, after normalisation, to the -1..1 that the published weights know
_BACKBONE, _STEM = "backbone", "Conv1"
_UNSTEPPED: dict[str, dict[str, Any]] = {"block_1_pad": {"padding": 1}, "block_1_depthwise": {"strides": 1}}


@dataclass(frozen=True, slots=True)
class Plan:
    """How wide: a width that there are published weights for. ``weights`` are a file of them, None for chance."""

    alpha: float = 1.0
    weights: Path | None = None


def features(faces: Any, plan: Plan, *, learning: bool) -> Any:
    """Faces ``(batch, side, side, 1)`` of mean 0 and deviation 1 to what is seen at a sixteenth of the side."""
    backbone = keras.applications.MobileNetV2((None, None, 3), alpha=plan.alpha, include_top=False, weights=None)
    changed = partial(_changed, learning=learning)
    grey = layers.Input((None, None, 1))
    network = keras.models.clone_model(backbone, clone_function=changed, input_tensors=grey)
    network.name = _BACKBONE
    return network(faces * _BRIGHT)


def _changed(layer: Any, *, learning: bool) -> Any:
    """The same layer, computing as the policy of this moment says."""
    kind = faster(type(layer)) if learning else type(layer)
    changes = (
        {"momentum": _MOMENTUM} if isinstance(layer, layers.BatchNormalization) else _UNSTEPPED.get(layer.name, {})
    )
    return kind.from_config({**layer.get_config(), "dtype": keras.config.dtype_policy(), **changes})


def adopt(network: keras.Model, plan: Plan) -> None:
    """Take over the published weights, layer by layer, by their names.

    Raises:
        OSError: they cannot be read.
        ValueError: they are of another network.
    """
    published = keras.applications.MobileNetV2(
        (96, 96, 3), alpha=plan.alpha, include_top=False, weights=str(plan.weights)
    )
    for layer in published.layers:
        if values := layer.get_weights():
            own = [value.sum(axis=2, keepdims=True) for value in values] if layer.name == _STEM else values
            network.get_layer(_BACKBONE).get_layer(layer.name).set_weights(own)
