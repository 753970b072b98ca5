from __future__ import annotations

import numpy as np
import pytest

from trigger_api.media.downmix import Downmix

WAVE = np.sin(np.arange(4_000) / 7).astype(np.float32)


def test_blocks_are_joined() -> None:
    mix = Downmix()
    mix.add(np.array([[100, 300], [0, 200]], np.int16), 1 / 100)
    mix.add(np.array([[100, 100]], np.int16), 1 / 100)
    np.testing.assert_allclose(mix.samples, [2, 1, 1])
    assert mix.frames == 3


def test_nothing_is_empty() -> None:
    assert Downmix().samples.shape == (0,)
    assert not Downmix().cancelled


@pytest.mark.parametrize(("second", "cancelled"), [(-1.0, True), (-0.9, True), (0.0, False), (1.0, False)])
def test_opposite_phase_is_noticed(second: float, cancelled: bool) -> None:
    mix = Downmix()
    mix.add(np.stack([second * WAVE, WAVE], axis=1))
    assert mix.cancelled is cancelled
    if cancelled:
        assert mix.loudest == int(abs(second) < 1)


def test_silence_and_one_channel_alone_cancel_nothing() -> None:
    for block in (np.zeros((100, 2), np.float32), WAVE[:, None]):
        mix = Downmix()
        mix.add(block)
        assert not mix.cancelled


def test_one_channel_can_be_taken_alone() -> None:
    mix = Downmix(channel=1)
    mix.add(np.stack([WAVE, -WAVE], axis=1))
    np.testing.assert_array_equal(mix.samples, -WAVE)
