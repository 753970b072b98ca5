"""Faces seen otherwise: mirrored, turned, nearer, in other light, worse pictures, with something before them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras import ops, random


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

    def __call__(self, faces: Any, side: int, chance: random.SeedGenerator) -> Any:
        """Disturbed copies ``(n, side, side, 1)`` float32, 0..255, of square uint8 faces ``(n, height, height)``.

        ``side`` is even; what ``chance`` stands at tells the copies.
        """
        draw = _Draw(chance, ops.shape(faces)[0])
        x = self._seen(ops.cast(faces, "float32")[..., None], draw)
        x = x if x.shape[1] == side else ops.image.resize(x, (side, side), antialias=True)
        x = ops.where(draw.uniform(0, 1, 4) < self.coarse, _coarse(x), x)
        x = self._lit(x, draw)
        return self._covered(x, side, draw)

    def _seen(self, faces: Any, draw: _Draw) -> Any:
        """One linear interpolation; beyond the border the picture is mirrored."""
        angle, scale = draw.normal(self.turn / 2), ops.exp(draw.uniform(-self.nearer, self.nearer))
        wide = ops.exp(draw.normal(self.stretch / 2)) * scale
        high = ops.exp(draw.normal(self.stretch / 2)) * scale
        mirrored = ops.where(draw.uniform(0, 1) < 0.5, -1.0, 1.0)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        a, b = mirrored * cosine * wide, -sine * high
        c, d = mirrored * sine * wide, cosine * high
        side = faces.shape[1]
        middle = (side - 1) / 2
        across = middle - (a + b) * middle + draw.uniform(-self.shift, self.shift) * side
        down = middle - (c + d) * middle + draw.uniform(-self.shift, self.shift) * side
        nothing = ops.zeros_like(a)
        places = ops.stack([a, b, across, c, d, down, nothing, nothing], axis=1)
        return ops.image.affine_transform(faces, places, fill_mode="reflect")

    def _lit(self, x: Any, draw: _Draw) -> Any:
        """Another exposure and gamma, and grain."""
        gamma = ops.exp(draw.normal(self.light, 4))
        bent = 255 * ops.power(ops.clip(x / 255, 1e-3, 1.0), gamma)
        grain = draw.noise(ops.shape(x)) * draw.uniform(0, 1, 4) ** 3 * self.grain
        return ops.clip(bent + grain, 0.0, 255.0)

    def _covered(self, x: Any, side: int, draw: _Draw) -> Any:
        """A rectangle of one grey hides some of a face."""
        grid = ops.arange(side, dtype="float32")
        rows = _within(grid, draw.uniform(0, side), draw.uniform(0.08 * side, 0.22 * side))
        columns = _within(grid, draw.uniform(0, side), draw.uniform(0.08 * side, 0.22 * side))
        there = ops.logical_and(rows[:, :, None], columns[:, None])[..., None]
        hidden = ops.logical_and(there, draw.uniform(0, 1, 4) < self.covered)
        return ops.where(hidden, draw.uniform(0, 255, 4), x)


class _Draw:
    """Chance, one number a face."""

    def __init__(self, chance: random.SeedGenerator, count: Any) -> None:
        self._chance = chance
        self._count = count

    def uniform(self, low: float, high: float, rank: int = 1) -> Any:
        return random.uniform(self._shape(rank), low, high, seed=self._chance)

    def normal(self, deviation: float, rank: int = 1) -> Any:
        return random.normal(self._shape(rank), 0.0, deviation, seed=self._chance)

    def noise(self, shape: Any) -> Any:
        # Uniform is a third of the price of normal, and of one sort of grain as good as the other.
        return random.uniform(shape, -math.sqrt(3), math.sqrt(3), seed=self._chance)

    def _shape(self, rank: int) -> Any:
        return (self._count, *[1] * (rank - 1))


def _coarse(x: Any) -> Any:
    """As from farther away."""
    return ops.image.resize(ops.average_pool(x, 2, 2), x.shape[1:3])


def _within(grid: Any, middle: Any, half: Any) -> Any:
    return ops.abs(grid[None] - middle[:, None]) < half[:, None]
