from __future__ import annotations

import numpy as np
import pytest

from trigger_api.media.letterbox import GREY, letterbox


def test_a_small_photo_is_not_resized() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    canvas, size = letterbox(pixels, 8)
    assert size == (3, 5)
    assert (canvas[:3, :5] == pixels).all()
    assert (canvas[3:] == GREY).all()
    assert (canvas[:, 5:] == GREY).all()


@pytest.mark.parametrize(("shape", "size"), [((100, 50), (8, 4)), ((3, 2000), (1, 8)), ((8, 8), (8, 8))])
def test_a_large_photo_is_reduced_to_fit(shape: tuple[int, int], size: tuple[int, int]) -> None:
    canvas, fitted = letterbox(np.full((*shape, 3), 200, np.uint8), 8)
    assert fitted == size
    assert canvas.shape == (8, 8, 3)
    assert (canvas[: size[0], : size[1]] == 200).all()
