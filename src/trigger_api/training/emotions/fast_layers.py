"""Layers that learn faster on TensorFlow without an accelerator; they compute the same, and their weights are the same.

They are for learning only: what is stored are Keras's own.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import layers


class FusedNormalisation(layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalisation by one operation of TensorFlow's: a third of the time of Keras's own in bfloat16."""

    def call(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        """As Keras's layer."""
        fused = tf.compat.v1.nn.fused_batch_norm
        scales = {"scale": tf.cast(self.gamma, tf.float32), "offset": tf.cast(self.beta, tf.float32)}
        if not training or not self.trainable:
            mean, variance = tf.cast(self.moving_mean, tf.float32), tf.cast(self.moving_variance, tf.float32)
            return fused(x, **scales, mean=mean, variance=variance, epsilon=self.epsilon, is_training=False)[0]
        y, mean, variance = fused(x, **scales, epsilon=self.epsilon, is_training=True)
        for kept, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept.assign(kept * self.momentum + tf.cast(seen, kept.dtype) * (1 - self.momentum))
        return y


class QuickConv(layers.Conv2D):  # type: ignore[misc]
    """A convolution that is a product of matrices if it is of 1 x 1: its gradient then takes half as long."""

    def call(self, x: Any) -> Any:
        """As Keras's layer."""
        if self.kernel_size != (1, 1) or self.strides != (1, 1):
            return super().call(x)
        flat = tf.reshape(x, [-1, x.shape[-1]])
        y = tf.matmul(flat, tf.cast(self.kernel, x.dtype)[0, 0])
        y = tf.reshape(y, tf.concat([tf.shape(x)[:3], [self.filters]], 0))
        return y if self.bias is None else y + tf.cast(self.bias, x.dtype)


class QuickDepthwise(layers.DepthwiseConv2D):  # type: ignore[misc]
    """A depthwise convolution whose gradient towards its input is one as well: TensorFlow's own takes much longer.

    It is for 3 x 3 kernels without a bias; what steps by two must be padded before.
    """

    def call(self, x: Any) -> Any:
        """As Keras's layer."""
        return quick_depthwise(self.strides[0], self.padding.upper())(x, tf.cast(self.kernel, x.dtype))


def quick_depthwise(step: int, padding: str) -> Any:
    """The function of pictures ``(batch, height, width, channels)`` and kernels ``(3, 3, channels, 1)``."""
    strides = [1, step, step, 1]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolved(x: Any, kernel: Any) -> Any:
        return tf.nn.depthwise_conv2d(x, kernel, strides, padding), lambda slope: gradient(x, kernel, slope)

    def gradient(x: Any, kernel: Any, slope: Any) -> tuple[Any, Any]:
        placed = _placed(slope if step == 1 else _spread(slope), tf.shape(x), 1 if padding == "SAME" else 2)
        towards = tf.nn.depthwise_conv2d(placed, tf.reverse(kernel, [0, 1]), [1, 1, 1, 1], "VALID")
        native = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter
        sizes = {"input": x, "filter_sizes": tf.shape(kernel), "out_backprop": slope}
        return tf.ensure_shape(towards, x.shape), native(**sizes, strides=strides, padding=padding)

    return convolved


def _spread(slope: Any) -> Any:
    """Every other row and column is of zeros."""
    apart = tf.pad(slope[:, :, None, :, None], [[0, 0], [0, 0], [0, 1], [0, 0], [0, 1], [0, 0]])
    shape = tf.shape(slope)
    return tf.reshape(apart, [shape[0], 2 * shape[1], 2 * shape[2], slope.shape[3]])


def _placed(slope: Any, wanted: Any, before: int) -> Any:
    """Among zeros, so that a 3 x 3 kernel leaves the size wanted."""
    after = wanted[1:3] + 2 - before - tf.shape(slope)[1:3]
    return tf.pad(slope, [[0, 0], [before, after[0]], [before, after[1]], [0, 0]])


QUICK = {
    layers.BatchNormalization: FusedNormalisation,
    layers.Conv2D: QuickConv,
    layers.DepthwiseConv2D: QuickDepthwise,
}
