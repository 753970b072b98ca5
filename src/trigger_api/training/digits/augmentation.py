"""Augmentation of digits: rotated, slanted, stretched, warped, with other pens, blurred and noisy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from trigger_api.tasks.digits.mnist import SIDE

Digits = NDArray[np.float32]
"""Shape ``(n, 28, 28)``, ink 0..1."""

_Change = Callable[[Digits, np.random.Generator], Digits]
_KNOTS = 5  # along a side of the grid of the elastic distortion


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much is changed.

    Attributes:
        transformed: share of the digits that are transformed geometrically.
        rotation: the largest, degrees.
        slant: the largest, as a fraction of the height.
        stretch: the largest, as a fraction of the side.
        shift: the largest, pixels.
        warp: strength of the elastic distortion, pixels.
        pen: share of the digits with another width of the pen.
        blurred: share.
        noisy: share.
    """

    transformed: float = 0.9
    rotation: float = 15.0
    slant: float = 0.25
    stretch: float = 0.15
    shift: float = 1.5
    warp: float = 1.4
    pen: float = 0.35
    blurred: float = 0.15
    noisy: float = 0.2

    def __call__(self, digits: Digits, rng: np.random.Generator) -> Digits:
        """Augment copies of digits."""
        moved = rng.random(len(digits)) < self.transformed
        made = digits.copy()
        made[moved] = _sample(digits[moved], self._flow(int(moved.sum()), rng))
        _apply(made, self.pen, rng, _change_pen)
        _apply(made, self.blurred, rng, _blur)
        _apply(made, self.noisy, rng, _add_noise)
        return made.clip(0, 1)

    def _flow(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Source coordinates of each pixel, ``(n, 2, 28, 28)``."""
        middle = (SIDE - 1) / 2
        grid = (np.mgrid[:SIDE, :SIDE] - middle).reshape(2, -1).astype(np.float32)
        flow = self._affine(count, rng) @ grid
        flow += rng.uniform(-self.shift, self.shift, (count, 2, 1)).astype(np.float32)
        return flow.reshape(count, 2, SIDE, SIDE) + self._warp(count, rng) + np.float32(middle)

    def _affine(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation, count))
        slant = rng.uniform(-self.slant, self.slant, count)
        height, width = 1 / rng.uniform(1 - self.stretch, 1 + self.stretch, (2, count))
        cosine, sine = np.cos(angle), np.sin(angle)
        rotate = np.moveaxis(np.array([[cosine, sine], [-sine, cosine]]), -1, 0)
        shear = np.moveaxis(np.array([[height, 0 * height], [slant * width, width]]), -1, 0)
        return np.asarray(rotate @ shear, np.float32)

    def _warp(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        knots = rng.normal(0, self.warp / 2, (count, 2, _KNOTS, _KNOTS)) * rng.random((count, 1, 1, 1))
        return np.asarray(_SPLINE @ knots @ _SPLINE.T, np.float32)


def _spline() -> NDArray[np.float32]:
    """Cubic interpolation between the knots: a matrix ``(28, knots)``."""
    return np.asarray(ndimage.zoom(np.eye(_KNOTS), (SIDE / _KNOTS, 1), order=3, mode="nearest"), np.float32)


_SPLINE = _spline()


def _sample(digits: Digits, flow: NDArray[np.float32]) -> Digits:
    """Linear interpolation; beyond the border is background."""
    padded = np.pad(digits, ((0, 0), (1, 1), (1, 1)))
    row, column = (flow + 1).clip(0, SIDE + 0.999).transpose(1, 0, 2, 3)
    top, left = row.astype(np.intp), column.astype(np.intp)
    down, right = row - top, column - left
    flat = padded.reshape(-1)
    width = SIDE + 2
    start = np.arange(len(digits)).reshape(-1, 1, 1) * width * width + top * width + left
    above = flat[start] * (1 - right) + flat[start + 1] * right
    below = flat[start + width] * (1 - right) + flat[(start + width + 1).clip(max=len(flat) - 1)] * right
    # Interpolation fades strokes, a pen would not.
    return np.asarray(((above * (1 - down) + below * down) * 1.15 - 0.03).clip(0, 1), np.float32)


def _apply(digits: Digits, share: float, rng: np.random.Generator, change: _Change) -> None:
    chosen = np.flatnonzero(rng.random(len(digits)) < share)
    if len(chosen):
        digits[chosen] = change(digits[chosen], rng)


def _change_pen(digits: Digits, rng: np.random.Generator) -> Digits:
    """Strokes up to two pixels wider, or one narrower."""
    dilated = ndimage.maximum_filter(digits, (1, 3, 3))
    eroded = ndimage.minimum_filter(digits, (1, 2, 2))
    amount = rng.uniform(-0.7, 1, (len(digits), 1, 1)).astype(np.float32)
    return np.asarray(digits + np.maximum(amount, 0) * (dilated - digits) - np.minimum(amount, 0) * (eroded - digits))


def _blur(digits: Digits, rng: np.random.Generator) -> Digits:
    blurred = ndimage.gaussian_filter(digits, (0, *[rng.uniform(0.4, 1.0)] * 2))
    return np.asarray(blurred / blurred.max(axis=(1, 2), keepdims=True).clip(1e-6), np.float32)


def _add_noise(digits: Digits, rng: np.random.Generator) -> Digits:
    """Uneven ink, and noise near the strokes."""
    noise = rng.normal(0, rng.uniform(0.05, 0.25), digits.shape) * (ndimage.maximum_filter(digits, (1, 3, 3)) > 0.1)
    return np.asarray(digits + noise, np.float32)
