"""Layers that train faster on TensorFlow without an accelerator. They compute the same, and have the same weights.

They are for training only: exported models are made of Keras's own layers.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import layers


class FusedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalisation as one operation of TensorFlow: a third of the time of Keras's layer in bfloat16."""

    def call(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Compute what Keras's layer computes."""
        fused = tf.compat.v1.nn.fused_batch_norm
        scales = {"scale": tf.cast(self.gamma, tf.float32), "offset": tf.cast(self.beta, tf.float32)}
        if not training or not self.trainable:
            mean, variance = tf.cast(self.moving_mean, tf.float32), tf.cast(self.moving_variance, tf.float32)
            return fused(x, **scales, mean=mean, variance=variance, epsilon=self.epsilon, is_training=False)[0]
        y, mean, variance = fused(x, **scales, epsilon=self.epsilon, is_training=True)
        for kept, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept.assign(kept * self.momentum + tf.cast(seen, kept.dtype) * (1 - self.momentum))
        return y


class FastConv2D(layers.Conv2D):  # type: ignore[misc]
    """A convolution; of 1 x 1 it is a matrix product, whose gradient takes half as long."""

    def call(self, x: Any) -> Any:
        """Compute what Keras's layer computes."""
        if self.kernel_size != (1, 1) or self.strides != (1, 1):
            return super().call(x)
        flat = tf.reshape(x, [-1, x.shape[-1]])
        y = tf.matmul(flat, tf.cast(self.kernel, x.dtype)[0, 0])
        y = tf.reshape(y, tf.concat([tf.shape(x)[:3], [self.filters]], 0))
        return y if self.bias is None else y + tf.cast(self.bias, x.dtype)


class FastDepthwiseConv2D(layers.DepthwiseConv2D):  # type: ignore[misc]
    """A depthwise convolution whose input gradient is a depthwise convolution, too: TensorFlow's takes much longer.

    For 3 x 3 kernels without a bias; with strides of 2 the input must be padded already.
    """

    def call(self, x: Any) -> Any:
        """Compute what Keras's layer computes."""
        return fast_depthwise_conv2d(self.strides[0], self.padding.upper())(x, tf.cast(self.kernel, x.dtype))


def fast_depthwise_conv2d(stride: int, padding: str) -> Any:
    """A function of images ``(batch, height, width, channels)`` and kernels ``(3, 3, channels, 1)``."""
    strides = [1, stride, stride, 1]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(x: Any, kernel: Any) -> Any:
        return tf.nn.depthwise_conv2d(x, kernel, strides, padding), lambda upstream: gradients(x, kernel, upstream)

    def gradients(x: Any, kernel: Any, upstream: Any) -> tuple[Any, Any]:
        dilated = _pad(upstream if stride == 1 else _dilate(upstream), tf.shape(x), 1 if padding == "SAME" else 2)
        of_input = tf.nn.depthwise_conv2d(dilated, tf.reverse(kernel, [0, 1]), [1, 1, 1, 1], "VALID")
        native = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter
        sizes = {"input": x, "filter_sizes": tf.shape(kernel), "out_backprop": upstream}
        return tf.ensure_shape(of_input, x.shape), native(**sizes, strides=strides, padding=padding)

    return convolve


def _dilate(upstream: Any) -> Any:
    """Put zeros between rows and columns."""
    spread = tf.pad(upstream[:, :, None, :, None], [[0, 0], [0, 0], [0, 1], [0, 0], [0, 1], [0, 0]])
    shape = tf.shape(upstream)
    return tf.reshape(spread, [shape[0], 2 * shape[1], 2 * shape[2], upstream.shape[3]])


def _pad(upstream: Any, wanted: Any, before: int) -> Any:
    """Pad with zeros, so that a 3 x 3 kernel leaves the wanted size."""
    after = wanted[1:3] + 2 - before - tf.shape(upstream)[1:3]
    return tf.pad(upstream, [[0, 0], [before, after[0]], [before, after[1]], [0, 0]])


FAST_LAYERS = {
    layers.BatchNormalization: FusedBatchNormalization,
    layers.Conv2D: FastConv2D,
    layers.DepthwiseConv2D: FastDepthwiseConv2D,
}
