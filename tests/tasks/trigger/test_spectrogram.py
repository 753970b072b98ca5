from __future__ import annotations

import warnings

import numpy as np
import pytest
from matplotlib import mlab
from numpy.typing import NDArray

from trigger_api.model_card import SpectrogramFrontEnd
from trigger_api.tasks.trigger.spectrogram import Spectrogram

AS_IS = SpectrogramFrontEnd(level_dbfs=None)


def clip(seconds: float = 10.0) -> NDArray[np.float32]:
    """16-bit values, as a wav file holds them, in -1..1."""
    count = round(44_100 * seconds)
    noise = np.random.default_rng(1).normal(0, 2_000, count) + 5_000 * np.sin(np.arange(count) / 7)
    return np.asarray(np.round(noise) / 32_768, np.float32)


def test_it_equals_matplotlibs_specgram() -> None:
    samples = clip()
    # What pyplot.specgram computes, without drawing it.
    expected = np.asarray(mlab.specgram(samples * 32_768, NFFT=200, Fs=8_000, noverlap=120)[0], np.float64)
    features = Spectrogram(AS_IS).features(samples)
    assert features.shape == (5_511, 101)
    assert features.dtype == np.float32
    assert np.linalg.norm(features - expected.T) <= 1e-5 * np.linalg.norm(expected)
    assert np.allclose(features, expected.T, rtol=1e-5, atol=1e-5 * expected.mean())


def test_a_clip_is_brought_to_the_level_of_the_training_data() -> None:
    front_end = Spectrogram(SpectrogramFrontEnd())
    loud = front_end.features(clip())
    for gain in (0.5, 0.01):
        assert np.allclose(front_end.features(clip() * np.float32(gain)), loud, rtol=1e-3, atol=1e-4 * loud.mean())


@pytest.mark.parametrize("samples", [np.zeros(441, np.float32), np.full(441, 1e-9, np.float32)])
def test_silence_stays_silence(samples: NDArray[np.float32]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Spectrogram(SpectrogramFrontEnd()).features(samples).max() < 1


def test_a_clip_shorter_than_a_window_has_no_frames() -> None:
    assert Spectrogram(AS_IS).features(np.zeros(199, np.float32)).shape == (0, 101)
