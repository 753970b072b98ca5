from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.printed_digits import digit
from trigger_api.tasks.digits.mnist import normalise
from trigger_api.training.digits.augmentation import Augmentation

DIGITS = np.stack([normalise(digit(text)) for text in "0123456789"])
STILL = Augmentation(transformed=1, rotation=0, slant=0, stretch=0, shift=0, warp=0, pen=0, blurred=0, noisy=0)


def test_the_same_seed_augments_alike() -> None:
    made = [Augmentation()(DIGITS, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert (made[0] == made[1]).all()
    assert not (made[0] == made[2]).all()
    assert made[0].shape == DIGITS.shape
    assert made[0].min() >= 0
    assert made[0].max() <= 1


def test_no_augmentation_changes_little() -> None:
    assert np.abs(STILL(DIGITS, np.random.default_rng(0)) - DIGITS).mean() < 0.02


@pytest.mark.parametrize(
    "changed", [{"rotation": 30.0}, {"slant": 0.5}, {"stretch": 0.3}, {"shift": 3.0}, {"warp": 3.0}]
)
def test_every_transformation_moves_ink(changed: dict[str, float]) -> None:
    moved = replace(STILL, **changed)(DIGITS, np.random.default_rng(0))
    assert np.abs(moved - DIGITS).mean() > 0.03
    assert moved.sum() == pytest.approx(DIGITS.sum(), rel=0.35)


def test_other_digits_are_copies() -> None:
    left = Augmentation(transformed=0, pen=0, blurred=0, noisy=0)(DIGITS, np.random.default_rng(0))
    assert (left == DIGITS).all()
    assert left is not DIGITS
