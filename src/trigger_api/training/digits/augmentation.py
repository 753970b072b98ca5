"""Digits written by more hands: turned, slanted, stretched, wrinkled, by other pens, on worse paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from trigger_api.tasks.digits.mnist import SIDE

Digits = NDArray[np.float32]
"""Shape ``(n, 28, 28)``, ink 0..1."""

_KNOTS = 5  # of the grid that wrinkles are drawn on, along a side


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much is changed: the largest turn in degrees, the rest as fractions of the size or in pixels.

    ``touched``, ``thick``, ``blurred`` and ``noisy`` are shares of the digits.
    """

    touched: float = 0.9
    turn: float = 15.0
    slant: float = 0.25
    stretch: float = 0.15
    shift: float = 1.5
    wrinkle: float = 1.4
    thick: float = 0.35
    blurred: float = 0.15
    noisy: float = 0.2

    def __call__(self, digits: Digits, random: np.random.Generator) -> Digits:
        """Distorted copies."""
        touched = random.random(len(digits)) < self.touched
        made = digits.copy()
        made[touched] = _sampled(digits[touched], self._flow(int(touched.sum()), random))
        _some(made, self.thick, random, _other_pen)
        _some(made, self.blurred, random, _blurred)
        _some(made, self.noisy, random, _noisy)
        return made.clip(0, 1)

    def _flow(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Where each pixel is taken from, ``(n, 2, 28, 28)``."""
        middle = (SIDE - 1) / 2
        grid = (np.mgrid[:SIDE, :SIDE] - middle).reshape(2, -1).astype(np.float32)
        flow = self._affine(count, random) @ grid
        flow += random.uniform(-self.shift, self.shift, (count, 2, 1)).astype(np.float32)
        return flow.reshape(count, 2, SIDE, SIDE) + self._wrinkles(count, random) + np.float32(middle)

    def _affine(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        turn = np.deg2rad(random.uniform(-self.turn, self.turn, count))
        slant = random.uniform(-self.slant, self.slant, count)
        tall, wide = 1 / random.uniform(1 - self.stretch, 1 + self.stretch, (2, count))
        cosine, sine = np.cos(turn), np.sin(turn)
        turned = np.moveaxis(np.array([[cosine, sine], [-sine, cosine]]), -1, 0)
        drawn = np.moveaxis(np.array([[tall, 0 * tall], [slant * wide, wide]]), -1, 0)
        return np.asarray(turned @ drawn, np.float32)

    def _wrinkles(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        knots = random.normal(0, self.wrinkle / 2, (count, 2, _KNOTS, _KNOTS)) * random.random((count, 1, 1, 1))
        return np.asarray(_SPLINE @ knots @ _SPLINE.T, np.float32)


def _spline() -> NDArray[np.float32]:
    """The cubic through some knots, at every pixel: a matrix ``(28, knots)``."""
    return np.asarray(ndimage.zoom(np.eye(_KNOTS), (SIDE / _KNOTS, 1), order=3, mode="nearest"), np.float32)


_SPLINE = _spline()


def _sampled(digits: Digits, flow: NDArray[np.float32]) -> Digits:
    """Linear interpolation; beyond the border is paper."""
    padded = np.pad(digits, ((0, 0), (1, 1), (1, 1)))
    row, column = (flow + 1).clip(0, SIDE + 0.999).transpose(1, 0, 2, 3)
    top, left = row.astype(np.intp), column.astype(np.intp)
    down, right = row - top, column - left
    flat = padded.reshape(-1)
    width = SIDE + 2
    start = np.arange(len(digits)).reshape(-1, 1, 1) * width * width + top * width + left
    above = flat[start] * (1 - right) + flat[start + 1] * right
    below = flat[start + width] * (1 - right) + flat[(start + width + 1).clip(max=len(flat) - 1)] * right
    # What interpolation makes faint, a pen would not have.
    return np.asarray(((above * (1 - down) + below * down) * 1.15 - 0.03).clip(0, 1), np.float32)


def _some(digits: Digits, share: float, random: np.random.Generator, change: object) -> None:
    chosen = np.flatnonzero(random.random(len(digits)) < share)
    if len(chosen):
        assert callable(change)
        digits[chosen] = change(digits[chosen], random)


def _other_pen(digits: Digits, random: np.random.Generator) -> Digits:
    """Broader or finer by up to two pixels or one."""
    broad = ndimage.maximum_filter(digits, (1, 3, 3))
    fine = ndimage.minimum_filter(digits, (1, 2, 2))
    much = random.uniform(-0.7, 1, (len(digits), 1, 1)).astype(np.float32)
    return np.asarray(digits + np.maximum(much, 0) * (broad - digits) - np.minimum(much, 0) * (fine - digits))


def _blurred(digits: Digits, random: np.random.Generator) -> Digits:
    soft = ndimage.gaussian_filter(digits, (0, *[random.uniform(0.4, 1.0)] * 2))
    return np.asarray(soft / soft.max(axis=(1, 2), keepdims=True).clip(1e-6), np.float32)


def _noisy(digits: Digits, random: np.random.Generator) -> Digits:
    """Ink that is uneven, and grain that got through, near the strokes."""
    grain = random.normal(0, random.uniform(0.05, 0.25), digits.shape) * (
        ndimage.maximum_filter(digits, (1, 3, 3)) > 0.1
    )
    return np.asarray(digits + grain, np.float32)
