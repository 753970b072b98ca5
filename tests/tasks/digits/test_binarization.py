from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.printed_digits import write
from trigger_api.tasks.digits.binarization import WORK_SIDE, find_ink

Pixels = NDArray[np.uint8]


def shaded(pixels: Pixels, darkest: float) -> Pixels:
    """Light from one side."""
    light = np.linspace(1, darkest, pixels.shape[1])[:, None]
    return (pixels * light).astype(np.uint8)


def noisy(pixels: Pixels, sigma: float) -> Pixels:
    return (pixels + np.random.default_rng(0).normal(0, sigma, pixels.shape)).clip(0, 255).astype(np.uint8)


def matches(ink: NDArray[np.float32], pixels: Pixels) -> bool:
    """Whether ink is where a clean picture is darkest, and there alone."""
    wanted = pixels[..., 0] < 130
    found = ink > 0.5
    return bool((found & wanted).sum() > 0.85 * wanted.sum() and (found & ~wanted).sum() < 0.3 * wanted.sum())


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("darkest", [1, 0.6, 0.3])
@pytest.mark.parametrize("sigma", [0, 8])
def test_ink_is_found_in_uneven_light_of_either_kind(dark: bool, darkest: float, sigma: float) -> None:
    clean = write("1234567")
    page = clean if dark else 255 - clean
    assert matches(find_ink(noisy(shaded(page, darkest), sigma)).ink, clean)


def test_a_shadow_is_no_ink() -> None:
    clean = write("1234567", margin=60)
    page = clean.copy()
    page[:, 150:] = page[:, 150:] // 2
    assert matches(find_ink(page).ink, clean)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("sigma", [0, 10])
def test_blank_paper_holds_no_ink(level: int, sigma: float) -> None:
    blank = np.full((120, 200, 3), level, np.uint8)
    assert find_ink(noisy(blank, sigma)).ink.mean() < 1e-3


def test_a_large_picture_is_read_from_afar() -> None:
    page = np.full((700, 4_000, 3), 255, np.uint8)
    page[200:500, 1_000:1_080] = 0
    ink = find_ink(page).ink
    assert ink.shape == (224, WORK_SIDE)
    assert ink[100, 333] == 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (3, 2, 3)])
def test_the_smallest_pictures_are_read(shape: tuple[int, int, int]) -> None:
    assert find_ink(np.zeros(shape, np.uint8)).ink.shape == shape[:2]
