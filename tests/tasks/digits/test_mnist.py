from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.printed_digits import digit
from trigger_api.tasks.digits.mnist import BOX, SIDE, normalise


def extent(shape: NDArray[np.float32]) -> tuple[int, int]:
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


@pytest.mark.parametrize("size", [14, 40, 200])
@pytest.mark.parametrize("text", ["0", "1", "4", "7"])
def test_a_digit_of_any_size_fills_the_box_and_is_centred(text: str, size: int) -> None:
    shape = normalise(digit(text, size))
    assert shape.shape == (SIDE, SIDE)
    assert max(extent(shape)) in (BOX - 1, BOX, BOX + 1)
    assert shape.max() == 1
    assert shape.min() == 0
    center = [shape.sum(axis=axis) @ np.arange(SIDE) / shape.sum() for axis in (0, 1)]
    assert center == pytest.approx([14, 14], abs=0.51)


def test_a_normalised_digit_stays_as_it_is() -> None:
    shape = normalise(digit("8", 120))
    assert np.abs(normalise(shape) - shape).mean() < 0.01


def test_thin_strokes_are_thickened() -> None:
    ring = np.zeros((200, 200), np.float32)
    angle = np.linspace(0, 2 * np.pi, 2_000)
    ring[(100 + 90 * np.sin(angle)).astype(int), (100 + 60 * np.cos(angle)).astype(int)] = 1
    shape = normalise(ring)
    assert (shape > 0.5).sum() > 60
    assert shape[12:16, 12:16].max() < 0.1, "its inside must stay open"


@pytest.mark.parametrize("ink", [np.zeros((5, 9)), np.ones((1, 1)), np.ones((1, 300)), np.ones((300, 1))])
def test_degenerate_ink_is_accepted(ink: NDArray[np.float64]) -> None:
    shape = normalise(np.asarray(ink, np.float32))
    assert shape.shape == (SIDE, SIDE)
    assert np.isfinite(shape).all()
