"""Synthetic pages: strings of labelled digits on paper, and pages without any; reproducible for a seed.

Paper has grain, fibres, shade and sometimes ruled lines; ink varies in colour and strength. Strings are rotated by up
to 10 degrees, a few are light on dark, and half of the pictures are JPEG files.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage

Digits = NDArray[np.uint8]
Grey = NDArray[np.float64]
_MNIST_HEIGHT = 20


@dataclass(frozen=True)
class Style:
    """How strings are written: the ranges to sample from, lengths as shares of a digit's height.

    ``gap`` is between the boxes of neighbours; below 0 they overlap and many touch.
    """

    length: tuple[int, int] = (3, 8)
    height: tuple[float, float] = (22, 64)
    gap: tuple[float, float] = (0.04, 0.4)
    turn: float = 10.0
    ruled: float = 0.25
    inverted: float = 0.15


@dataclass(frozen=True)
class Sample:
    """A picture file, and the string on it; empty if there is none."""

    data: bytes
    text: str


def digit_strings(
    count: int, digits: Digits, labels: NDArray[np.int64], seed: int, style: Style | None = None
) -> list[Sample]:
    """Pictures of one string each; ``digits`` are MNIST's, uint8 ``(n, 28, 28)``."""
    return [_string(np.random.default_rng((seed, number)), digits, labels, style or Style()) for number in range(count)]


def blank_pages(count: int, seed: int) -> list[Sample]:
    """Blank papers and textures, in turn."""
    kinds = (_blank, _grain, _clouds, _stripes, _checks, _wood, _stones, _weave, _gradient, _leaves)
    randoms = (np.random.default_rng((seed, number)) for number in range(count))
    return [Sample(_file(kinds[number % len(kinds)](random), random), "") for number, random in enumerate(randoms)]


def _string(random: np.random.Generator, digits: Digits, labels: NDArray[np.int64], style: Style) -> Sample:
    chosen = random.integers(len(digits), size=random.integers(style.length[0], style.length[1] + 1))
    height = random.uniform(*style.height)
    ink = _turned(_written(random, digits[chosen], height, style), random.uniform(-style.turn, style.turn))
    margin = round(height * random.uniform(0.5, 1.5))
    ink = np.pad(ink, margin)
    paper = _paper(random, ink.shape)
    if random.random() < style.ruled:
        paper = _ruled(random, paper, height)
    strength = random.uniform(0.45, 0.9)
    page = paper * (1 - strength * ink)
    if random.random() < style.inverted:
        page = 1 - page
    return Sample(_file(page + _noise(random, page.shape), random), "".join(str(labels[number]) for number in chosen))


def _written(random: np.random.Generator, digits: Digits, height: float, style: Style) -> Grey:
    """Digits side by side, each a little higher or lower, larger or smaller than the one before."""
    parts = [_scaled(digit, height / _MNIST_HEIGHT * random.uniform(0.9, 1.1)) for digit in digits]
    gaps = random.uniform(*style.gap, len(parts)) * height
    width = sum(part.shape[1] for part in parts) + max(0, round(sum(gaps))) + 2 * len(parts)
    line = np.zeros((round(2 * height), width))
    left = right = 0
    for part, gap in zip(parts, gaps, strict=True):
        top = round(height - part.shape[0] / 2 + random.uniform(-0.1, 0.1) * height)
        field = line[top : top + part.shape[0], left : left + part.shape[1]]
        np.maximum(field, part, out=field)
        right = left + part.shape[1]
        left = max(0, right + round(gap))
    return line[:, : max(left, right)]


def _scaled(digit: NDArray[np.uint8], scale: float) -> Grey:
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    image = PIL.Image.fromarray(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return np.asarray(image.resize(size, PIL.Image.Resampling.BICUBIC), np.float64) / 255


def _turned(ink: Grey, degrees: float) -> Grey:
    turned = PIL.Image.fromarray(ink.astype(np.float32)).rotate(degrees, PIL.Image.Resampling.BICUBIC, expand=True)
    return np.asarray(turned, np.float64).clip(0, 1)


def _paper(random: np.random.Generator, shape: tuple[int, ...]) -> Grey:
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    tilt = random.uniform(-0.18, 0.18, 2)
    light = 1 + tilt[0] * rows + tilt[1] * columns - random.uniform(0, 0.12) * (rows**2 + columns**2)
    if random.random() < 0.3:  # a soft shadow over one side
        edge = random.uniform(-0.5, 0.5) + random.uniform(-0.6, 0.6) * rows
        light *= 1 - random.uniform(0.1, 0.35) / (1 + np.exp(-(columns - edge) / random.uniform(0.1, 0.3)))
    fibres = _clouded(random, shape, 2) * random.uniform(0, 0.012) + _clouded(random, shape, 12) * random.uniform(
        0, 0.02
    )
    return np.asarray((random.uniform(0.72, 0.92) * light + fibres).clip(0.05, 1))


def _ruled(random: np.random.Generator, paper: Grey, height: float) -> Grey:
    spacing, phase = height * random.uniform(1.1, 2), random.uniform(0, 1)
    slope = np.tan(np.deg2rad(random.uniform(-3, 3)))
    rows = np.arange(paper.shape[0])[:, None] - slope * np.arange(paper.shape[1])
    position = (rows / spacing + phase) % 1 * spacing
    rule = np.exp(-(((position - spacing / 2) / random.uniform(0.6, 1.1)) ** 2))
    return np.asarray(paper * (1 - random.uniform(0.1, 0.4) * rule))


def _noise(random: np.random.Generator, shape: tuple[int, ...]) -> Grey:
    return np.asarray(random.normal(0, random.uniform(0.005, 0.045), shape))


def _clouded(random: np.random.Generator, shape: tuple[int, ...], size: float) -> Grey:
    """Noise of one scale, of standard deviation 1."""
    coarse = random.normal(size=[max(4, round(side / size)) for side in shape])
    smooth = ndimage.zoom(coarse, [side / have for side, have in zip(shape, coarse.shape, strict=True)], order=3)
    return np.asarray(smooth / max(smooth.std(), 1e-9))


def _file(page: Grey, random: np.random.Generator) -> bytes:
    tint = 1 + random.uniform(-0.06, 0.06, 3)
    image = PIL.Image.fromarray((255 * (page[..., None] * tint).clip(0, 1)).astype(np.uint8))
    buffer = io.BytesIO()
    if random.random() < 0.5:
        image.save(buffer, "JPEG", quality=int(random.integers(60, 96)))
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def _shape(random: np.random.Generator) -> tuple[int, int]:
    height, width = random.integers(80, 400, 2)
    return int(height), int(width)


def _blank(random: np.random.Generator) -> Grey:
    shape = _shape(random)
    return _paper(random, shape) + _noise(random, shape)


def _gradient(random: np.random.Generator) -> Grey:
    shape = _shape(random)
    rows, columns = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    page = random.random() * rows + random.random() * columns
    return np.asarray(page / page.max() + _noise(random, shape))


def _grain(random: np.random.Generator) -> Grey:
    return 0.5 + random.uniform(0.05, 0.3) * random.normal(size=_shape(random))


def _clouds(random: np.random.Generator) -> Grey:
    shape = _shape(random)
    layers = [_clouded(random, shape, size) for size in (4, 12, 36)]
    return np.asarray(0.5 + random.uniform(0.05, 0.2) * np.sum(layers, axis=0))


def _stripes(random: np.random.Generator) -> Grey:
    rows, columns = np.indices(_shape(random))
    angle, length = random.uniform(0, np.pi), random.uniform(6, 40)
    page = 0.5 + 0.4 * np.sign(np.sin((rows * np.cos(angle) + columns * np.sin(angle)) / length * 2 * np.pi))
    return np.asarray(page + _noise(random, rows.shape))


def _checks(random: np.random.Generator) -> Grey:
    rows, columns = np.indices(_shape(random))
    side = random.integers(6, 40)
    return np.asarray(0.2 + 0.6 * ((rows // side + columns // side) % 2) + _noise(random, rows.shape))


def _wood(random: np.random.Generator) -> Grey:
    shape = _shape(random)
    rows, columns = np.indices(shape)
    rings = columns / random.uniform(6, 20) + 3 * _clouded(random, shape, 60) + rows / 200
    return np.asarray(0.5 + 0.2 * np.sin(2 * rings) + 0.05 * random.normal(size=(1, shape[1])) + _noise(random, shape))


def _stones(random: np.random.Generator) -> Grey:
    """Cells around random points, each of its own grey, with dark joints."""
    shape = _shape(random)
    count = int(random.integers(30, 300))
    points = np.ones(shape)
    rows, columns = random.integers(0, shape[0], count), random.integers(0, shape[1], count)
    points[rows, columns] = 0
    distance, nearest = ndimage.distance_transform_edt(points, return_indices=True)
    greys = random.uniform(0.3, 0.9, shape)
    return np.asarray(greys[nearest[0], nearest[1]] - 0.02 * distance + _noise(random, shape))


def _weave(random: np.random.Generator) -> Grey:
    rows, columns = np.indices(_shape(random))
    length = random.uniform(3, 12)
    return np.asarray(0.5 + 0.2 * np.sin(rows / length * 6) * np.sin(columns / length * 6) + _noise(random, rows.shape))


def _leaves(random: np.random.Generator) -> Grey:
    """Soft ellipses over one another, as foliage or gravel."""
    shape = _shape(random)
    page = np.full(shape, 0.5)
    rows, columns = np.indices(shape)
    for _ in range(int(random.integers(20, 80))):
        row, column = random.uniform(0, shape[0]), random.uniform(0, shape[1])
        angle, long = random.uniform(0, np.pi), random.uniform(5, 40)
        along = (rows - row) * np.cos(angle) + (columns - column) * np.sin(angle)
        across = (columns - column) * np.cos(angle) - (rows - row) * np.sin(angle)
        inside = (along / long) ** 2 + (across / (long * random.uniform(0.3, 0.8))) ** 2 < 1
        page[inside] = random.uniform(0.1, 0.9)
    return np.asarray(page + _noise(random, shape))
