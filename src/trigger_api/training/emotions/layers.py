"""What the emotion networks are built of, twice: as they learn, and as they are stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
from keras import Layer, layers, ops

_MOMENTUM = 0.95
_FLAT = 4.0  # grey levels: a face of less contrast is not brought to full contrast


def faster(kind: type[Layer]) -> type[Layer]:
    """The layer to learn with in place of Keras's own: on TensorFlow there are faster ones."""
    if keras.backend.backend() != "tensorflow":
        return kind
    from trigger_api.training.emotions.fast_layers import QUICK

    return QUICK.get(kind, kind)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Convolutions, normalised; ``learning`` chooses the layers that are fast to learn with."""

    learning: bool

    def conv(
        self, x: Any, channels: int, size: int | tuple[int, int] = 3, *, strides: int = 1, linear: bool = False
    ) -> Any:
        """A convolution, normalised, and rectified unless it is to be linear."""
        kernel = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
        x = self._kind(layers.Conv2D)(channels, size, strides=strides, **kernel)(x)
        x = self.normalised(x, silent=linear)
        return x if linear else layers.ReLU()(x)

    def half(self, x: Any, size: Any) -> Any:
        """The first half of a factorised convolution: nothing but sums."""
        return layers.Conv2D(x.shape[-1], size, padding="same", use_bias=False, kernel_initializer="he_normal")(x)

    def normalised(self, x: Any, *, silent: bool = False) -> Any:
        """Batch normalisation; a silent one begins as zero, so that what it is added to passes unchanged."""
        kind = self._kind(layers.BatchNormalization)
        return kind(momentum=_MOMENTUM, gamma_initializer="zeros" if silent else "ones")(x)

    def _kind(self, kind: type[Layer]) -> type[Layer]:
        return faster(kind) if self.learning else kind


def contrasted(faces: Any) -> Any:
    """Grey faces 0..255 of any contrast to a mean of 0 and a deviation of 1, each by itself, in float32."""
    faces = ops.cast(faces, "float32")
    mean = ops.mean(faces, axis=(1, 2, 3), keepdims=True)
    centred = faces - mean
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True))
    return centred / ops.maximum(deviation, _FLAT)


def inherit(own: Iterable[Layer], learned: Iterable[Layer]) -> None:
    """Give layers what others have learned, in order and by shape.

    There may be more of them: what has no counterpart stays as it is. A residual block that is one more at the end of a
    row is silent as it begins.

    Raises:
        ValueError: they are of another network.
    """
    given = [layer.get_weights() for layer in learned]
    for layer in own:
        if given and [w.shape for w in given[0]] == [tuple(w.shape) for w in layer.weights]:
            layer.set_weights(given.pop(0))
    if given:
        raise ValueError("the model to go on from is another network")
