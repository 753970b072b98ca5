"""Building blocks of the emotion networks, in two kinds: as they are trained, and as they are served."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
from keras import Layer, layers, ops

_MOMENTUM = 0.95
_MIN_DEVIATION = 4.0  # grey levels: the contrast of flatter faces is not raised to the full


def fast_layer(kind: type[Layer]) -> type[Layer]:
    """The layer to train with in place of one of Keras's: on TensorFlow there are faster ones."""
    if keras.backend.backend() != "tensorflow":
        return kind
    from trigger_api.training.emotions.fast_layers import FAST_LAYERS

    return FAST_LAYERS.get(kind, kind)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Convolutions with batch normalisation; with ``training``, layers that are faster to train."""

    training: bool

    def conv(
        self, x: Any, channels: int, size: int | tuple[int, int] = 3, *, strides: int = 1, linear: bool = False
    ) -> Any:
        """A convolution, batch normalisation and, unless it is ``linear``, a ReLU."""
        kernel = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
        x = self._kind(layers.Conv2D)(channels, size, strides=strides, **kernel)(x)
        x = self.normalise(x, zero=linear)
        return x if linear else layers.ReLU()(x)

    def half(self, x: Any, size: Any) -> Any:
        """The first half of a factorised convolution, linear and not normalised."""
        return layers.Conv2D(x.shape[-1], size, padding="same", use_bias=False, kernel_initializer="he_normal")(x)

    def normalise(self, x: Any, *, zero: bool = False) -> Any:
        """Batch normalisation; its scale starts at ``zero`` where a residual block shall start as the identity."""
        kind = self._kind(layers.BatchNormalization)
        return kind(momentum=_MOMENTUM, gamma_initializer="zeros" if zero else "ones")(x)

    def _kind(self, kind: type[Layer]) -> type[Layer]:
        return fast_layer(kind) if self.training else kind


def normalise_contrast(faces: Any) -> Any:
    """Normalise each grey face 0..255 to a mean of 0 and a standard deviation of 1, in float32."""
    faces = ops.cast(faces, "float32")
    mean = ops.mean(faces, axis=(1, 2, 3), keepdims=True)
    centred = faces - mean
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True))
    return centred / ops.maximum(deviation, _MIN_DEVIATION)


def copy_weights(targets: Iterable[Layer], sources: Iterable[Layer]) -> None:
    """Copy weights from layers to others, in order and by shape.

    There may be more targets than sources: those without a counterpart keep their weights. An added residual block at
    the end of a stage starts as the identity.

    Raises:
        ValueError: a source has no counterpart.
    """
    weights = [layer.get_weights() for layer in sources]
    for layer in targets:
        if weights and [w.shape for w in weights[0]] == [tuple(w.shape) for w in layer.weights]:
            layer.set_weights(weights.pop(0))
    if weights:
        raise ValueError("the model to start from has another architecture")
