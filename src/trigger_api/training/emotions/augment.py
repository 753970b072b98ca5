"""Faces seen otherwise: mirrored, turned, nearer, in other light, worse pictures, with something before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How much is changed: turns in radians, shifts as shares of the side, else logarithms or shares of the faces."""

    turn: float = 0.22
    nearer: float = 0.16
    stretch: float = 0.08
    shift: float = 0.09
    light: float = 0.25
    grain: float = 8.0
    coarse: float = 0.12
    covered: float = 0.4

    def __call__(self, faces: Any, side: int, seed: Any) -> Any:
        """Disturbed copies ``(n, side, side, 1)`` float32, 0..255, of uint8 faces ``(n, height, width)``.

        ``seed`` is two int32; the same gives the same copies.
        """
        draw = _Draw(seed, tf.shape(faces)[0])
        x = self._seen(tf.cast(faces, tf.float32)[..., None], side, draw)
        x = tf.where(draw.uniform(0, 1, 4) < self.coarse, _coarse(x, side), x)
        x = self._lit(x, draw)
        return self._covered(x, side, draw)

    def _seen(self, faces: Any, side: int, draw: _Draw) -> Any:
        """One linear interpolation; beyond the border the picture is mirrored."""
        angle, scale = draw.normal(self.turn / 2), tf.exp(draw.uniform(-self.nearer, self.nearer))
        wide = tf.exp(draw.normal(self.stretch / 2)) * scale
        high = tf.exp(draw.normal(self.stretch / 2)) * scale
        mirrored = tf.where(draw.uniform(0, 1) < 0.5, -1.0, 1.0)
        height, width = faces.shape[1], faces.shape[2]
        cosine, sine = tf.cos(angle), tf.sin(angle)
        a, b = mirrored * cosine * wide * width / side, -sine * high * width / side
        c, d = mirrored * sine * wide * height / side, cosine * high * height / side
        middle = (side - 1) / 2
        across = (width - 1) / 2 - (a + b) * middle + draw.uniform(-self.shift, self.shift) * width
        down = (height - 1) / 2 - (c + d) * middle + draw.uniform(-self.shift, self.shift) * height
        nothing = tf.zeros_like(a)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=faces,
            transforms=tf.stack([a, b, across, c, d, down, nothing, nothing], axis=1),
            output_shape=[side, side],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="REFLECT",
        )

    def _lit(self, x: Any, draw: _Draw) -> Any:
        """Another exposure and gamma, and grain."""
        gamma = tf.exp(draw.normal(self.light, 4))
        bent = 255 * tf.pow(tf.clip_by_value(x / 255, 1e-3, 1.0), gamma)
        grain = draw.noise(tf.shape(x)) * draw.uniform(0, 1, 4) ** 3 * self.grain
        return tf.clip_by_value(bent + grain, 0.0, 255.0)

    def _covered(self, x: Any, side: int, draw: _Draw) -> Any:
        """A rectangle of one grey hides some of a face."""
        grid = tf.range(side, dtype=tf.float32)
        rows = _within(grid, draw.uniform(0, side), draw.uniform(0.08 * side, 0.22 * side))
        columns = _within(grid, draw.uniform(0, side), draw.uniform(0.08 * side, 0.22 * side))
        hidden = (rows[:, :, None] & columns[:, None])[..., None] & (draw.uniform(0, 1, 4) < self.covered)
        return tf.where(hidden, draw.uniform(0, 255, 4), x)


class _Draw:
    """Chance, one number a face; each call's is another."""

    def __init__(self, seed: Any, count: Any) -> None:
        self._seed = seed
        self._count = count
        self._drawn = 0

    def uniform(self, low: float, high: float, rank: int = 1) -> Any:
        return tf.random.stateless_uniform(self._shape(rank), self._next(), low, high)

    def normal(self, deviation: float, rank: int = 1) -> Any:
        return tf.random.stateless_normal(self._shape(rank), self._next(), 0.0, deviation)

    def noise(self, shape: Any) -> Any:
        # Uniform is a third of the price of normal, and of one sort of grain as good as the other.
        return tf.random.stateless_uniform(shape, self._next(), -np.sqrt(3), np.sqrt(3))

    def _shape(self, rank: int) -> Any:
        return tf.stack([self._count, *[1] * (rank - 1)])

    def _next(self) -> Any:
        self._drawn += 1
        return self._seed + tf.constant([0, self._drawn * 7919])


def _coarse(x: Any, side: int) -> Any:
    """As from farther away."""
    small = tf.image.resize(x, [side // 2, side // 2], "area")
    return tf.image.resize(small, [side, side])


def _within(grid: Any, middle: Any, half: Any) -> Any:
    return tf.abs(grid[None] - middle[:, None]) < half[:, None]
