from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.printed_digits import write
from trigger_api.tasks.digits.binarization import MAX_SIDE, binarize

Pixels = NDArray[np.uint8]


def shade(pixels: Pixels, least_light: float) -> Pixels:
    """A picture lit from one side."""
    light = np.linspace(1, least_light, pixels.shape[1])[:, None]
    return (pixels * light).astype(np.uint8)


def add_noise(pixels: Pixels, sigma: float) -> Pixels:
    return (pixels + np.random.default_rng(0).normal(0, sigma, pixels.shape)).clip(0, 255).astype(np.uint8)


def matches(ink: NDArray[np.float32], pixels: Pixels) -> bool:
    """Whether ink is found exactly where a clean picture is dark."""
    expected = pixels[..., 0] < 130
    found = ink > 0.5
    return bool((found & expected).sum() > 0.85 * expected.sum() and (found & ~expected).sum() < 0.3 * expected.sum())


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("least_light", [1, 0.6, 0.3])
@pytest.mark.parametrize("sigma", [0, 8])
def test_ink_is_found_in_uneven_light_dark_or_light(dark: bool, least_light: float, sigma: float) -> None:
    clean = write("1234567")
    page = clean if dark else 255 - clean
    assert matches(binarize(add_noise(shade(page, least_light), sigma)).ink, clean)


def test_a_shadow_is_not_ink() -> None:
    clean = write("1234567", margin=60)
    page = clean.copy()
    page[:, 150:] = page[:, 150:] // 2
    assert matches(binarize(page).ink, clean)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("sigma", [0, 10])
def test_blank_paper_holds_no_ink(level: int, sigma: float) -> None:
    blank = np.full((120, 200, 3), level, np.uint8)
    assert binarize(add_noise(blank, sigma)).ink.mean() < 1e-3


def test_a_large_picture_is_reduced() -> None:
    page = np.full((700, 4_000, 3), 255, np.uint8)
    page[200:500, 1_000:1_080] = 0
    ink = binarize(page).ink
    assert ink.shape == (224, MAX_SIDE)
    assert ink[100, 333] == 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (3, 2, 3)])
def test_tiny_pictures_are_accepted(shape: tuple[int, int, int]) -> None:
    assert binarize(np.zeros(shape, np.uint8)).ink.shape == shape[:2]
