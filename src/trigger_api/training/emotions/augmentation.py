"""Augmentation of faces: mirrored, turned, scaled, in other light, with noise, blurred, partly covered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras import ops, random


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much is changed.

    Attributes:
        rotation: radians, about the largest.
        zoom: logarithm of the largest scale.
        stretch: the same for width and height each by itself.
        shift: the largest, as a share of the side.
        gamma: standard deviation of the logarithm of the exponent.
        noise: standard deviation of the strongest, in grey levels.
        blurred: share of faces that are seen at half the resolution.
        covered: share of faces behind a grey rectangle.
    """

    rotation: float = 0.22
    zoom: float = 0.16
    stretch: float = 0.08
    shift: float = 0.09
    gamma: float = 0.25
    noise: float = 8.0
    blurred: float = 0.12
    covered: float = 0.4

    def __call__(self, faces: Any, side: int, seed: random.SeedGenerator) -> Any:
        """Augmented copies ``(n, side, side, 1)`` float32, 0..255, of square uint8 faces ``(n, height, height)``.

        ``side`` is even; the state of ``seed`` decides on everything.
        """
        draw = _Draw(seed, ops.shape(faces)[0])
        x = self._transform(ops.cast(faces, "float32")[..., None], draw)
        x = x if x.shape[1] == side else ops.image.resize(x, (side, side), antialias=True)
        x = ops.where(draw.uniform(0, 1, 4) < self.blurred, _blur(x), x)
        x = self._light(x, draw)
        return self._cover(x, side, draw)

    def _transform(self, faces: Any, draw: _Draw) -> Any:
        """One linear interpolation; beyond the border the picture is mirrored."""
        angle, scale = draw.normal(self.rotation / 2), ops.exp(draw.uniform(-self.zoom, self.zoom))
        width = ops.exp(draw.normal(self.stretch / 2)) * scale
        height = ops.exp(draw.normal(self.stretch / 2)) * scale
        mirrored = ops.where(draw.uniform(0, 1) < 0.5, -1.0, 1.0)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        a, b = mirrored * cosine * width, -sine * height
        c, d = mirrored * sine * width, cosine * height
        side = faces.shape[1]
        middle = (side - 1) / 2
        x = middle - (a + b) * middle + draw.uniform(-self.shift, self.shift) * side
        y = middle - (c + d) * middle + draw.uniform(-self.shift, self.shift) * side
        zeros = ops.zeros_like(a)
        matrix = ops.stack([a, b, x, c, d, y, zeros, zeros], axis=1)
        return ops.image.affine_transform(faces, matrix, fill_mode="reflect")

    def _light(self, x: Any, draw: _Draw) -> Any:
        """Another gamma, and noise."""
        gamma = ops.exp(draw.normal(self.gamma, 4))
        corrected = 255 * ops.power(ops.clip(x / 255, 1e-3, 1.0), gamma)
        noise = draw.noise(ops.shape(x)) * draw.uniform(0, 1, 4) ** 3 * self.noise
        return ops.clip(corrected + noise, 0.0, 255.0)

    def _cover(self, x: Any, side: int, draw: _Draw) -> Any:
        """A grey rectangle in front of some faces."""
        grid = ops.arange(side, dtype="float32")
        rows = _within(grid, draw.uniform(0, side), draw.uniform(0.08 * side, 0.22 * side))
        columns = _within(grid, draw.uniform(0, side), draw.uniform(0.08 * side, 0.22 * side))
        rectangle = ops.logical_and(rows[:, :, None], columns[:, None])[..., None]
        hidden = ops.logical_and(rectangle, draw.uniform(0, 1, 4) < self.covered)
        return ops.where(hidden, draw.uniform(0, 255, 4), x)


class _Draw:
    """Random numbers, one a face."""

    def __init__(self, seed: random.SeedGenerator, count: Any) -> None:
        self._seed = seed
        self._count = count

    def uniform(self, low: float, high: float, rank: int = 1) -> Any:
        return random.uniform(self._shape(rank), low, high, seed=self._seed)

    def normal(self, deviation: float, rank: int = 1) -> Any:
        return random.normal(self._shape(rank), 0.0, deviation, seed=self._seed)

    def noise(self, shape: Any) -> Any:
        # Uniform noise takes a third of the time of normal noise, and serves as well.
        return random.uniform(shape, -math.sqrt(3), math.sqrt(3), seed=self._seed)

    def _shape(self, rank: int) -> Any:
        return (self._count, *[1] * (rank - 1))


def _blur(x: Any) -> Any:
    """Half the resolution, as from farther away."""
    return ops.image.resize(ops.average_pool(x, 2, 2), x.shape[1:3])


def _within(grid: Any, middle: Any, half: Any) -> Any:
    return ops.abs(grid[None] - middle[:, None]) < half[:, None]
