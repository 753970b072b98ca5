from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.printed_digits import digit
from trigger_api.tasks.digits.mnist import normalise
from trigger_api.training.digits.augmentation import Augmentation

DIGITS = np.stack([normalise(digit(text)) for text in "0123456789"])
STILL = Augmentation(touched=1, turn=0, slant=0, stretch=0, shift=0, wrinkle=0, thick=0, blurred=0, noisy=0)


def test_the_same_seed_distorts_the_same_way() -> None:
    made = [Augmentation()(DIGITS, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert (made[0] == made[1]).all()
    assert not (made[0] == made[2]).all()
    assert made[0].shape == DIGITS.shape
    assert made[0].min() >= 0
    assert made[0].max() <= 1


def test_to_distort_by_nothing_changes_little() -> None:
    assert np.abs(STILL(DIGITS, np.random.default_rng(0)) - DIGITS).mean() < 0.02


@pytest.mark.parametrize(
    "changed", [{"turn": 30.0}, {"slant": 0.5}, {"stretch": 0.3}, {"shift": 3.0}, {"wrinkle": 3.0}]
)
def test_every_kind_of_distortion_moves_ink(changed: dict[str, float]) -> None:
    moved = replace(STILL, **changed)(DIGITS, np.random.default_rng(0))
    assert np.abs(moved - DIGITS).mean() > 0.03
    assert moved.sum() == pytest.approx(DIGITS.sum(), rel=0.35)


def test_untouched_digits_are_copies() -> None:
    left = Augmentation(touched=0, thick=0, blurred=0, noisy=0)(DIGITS, np.random.default_rng(0))
    assert (left == DIGITS).all()
    assert left is not DIGITS
