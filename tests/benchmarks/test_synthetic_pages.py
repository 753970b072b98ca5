"""The pictures that benchmarks compose."""

from __future__ import annotations

import numpy as np

import synthetic_pages
from helpers.printed_digits import digit
from trigger_api.media.image import ImageLimits, decode
from trigger_api.tasks.digits.mnist import normalise

DIGITS = np.stack([np.asarray(255 * normalise(digit(text)), np.uint8) for text in "0123456789"])


def test_strings_are_the_same_again_for_the_same_seed() -> None:
    made = [synthetic_pages.digit_strings(3, DIGITS, np.arange(10), seed) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    for sample in made[0]:
        assert 3 <= len(sample.text) <= 8
        assert sample.text.isdecimal()
        image = decode(sample.data, ImageLimits())
        assert image.width > image.height / 2 > 20


def test_nothing_is_a_picture_too() -> None:
    samples = synthetic_pages.blank_pages(10, seed=0)
    assert len({sample.data for sample in samples}) == 10
    assert all(decode(sample.data, ImageLimits()).pixels.size > 10_000 and not sample.text for sample in samples)
