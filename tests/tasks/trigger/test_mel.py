from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trigger_api.model_card import MelFrontEnd
from trigger_api.runtimes.speech_embedding import SILENT
from trigger_api.tasks.trigger.mel import FRAMES, Mel, mel_weights

FRONT_END = MelFrontEnd()
MEL = Mel(FRONT_END)
Array = NDArray[np.float32]


def noise(seconds: float, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 0.1, round(16_000 * seconds)).astype(np.float32)


def reference(samples: Array) -> Array:
    """Frame by frame in double precision: frame k begins 480 samples before sample 160 k, in a transform of 512."""
    steps = -(-len(samples) // 1_280)
    padded = np.concatenate([np.zeros(480), samples, np.zeros(steps * 1_280 - len(samples))]) * 32_768
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = [padded[160 * k + 56 : 160 * k + 456] * window for k in range(8 * steps)]
    power = np.abs(np.fft.rfft(np.reshape(frames, (-1, 400)), 512)) ** 2 @ mel_weights(FRONT_END)
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    by_step = decibels.reshape(steps, -1)
    floored = np.maximum(by_step, by_step.max(axis=1, keepdims=True) - 80)
    return np.asarray(floored.reshape(-1, 32) / 10 + 2, np.float32)


@pytest.mark.parametrize("count", [1, 1_279, 1_280, 1_281, 16_000, 50_000])
def test_it_equals_a_frame_by_frame_computation(count: int) -> None:
    samples = noise(4)[:count] * np.linspace(0, 1, count, dtype=np.float32)
    features = MEL.features(samples)
    assert features.shape == (8 * -(-count // 1_280), 32)
    np.testing.assert_allclose(features, reference(samples), atol=1e-3)


@given(steps=st.integers(1, 12), streams=st.integers(1, 3))
def test_streams_give_the_same_as_whole_clips(steps: int, streams: int) -> None:
    audio = np.stack([noise(0.08 * steps, seed) for seed in range(streams)])
    padded = np.concatenate([np.zeros((streams, MEL.overlap), np.float32), audio], axis=1)
    pieces = [padded[:, start : start + MEL.overlap + MEL.step] for start in range(0, audio.shape[1], MEL.step)]
    streamed = np.concatenate([MEL.steps(piece) for piece in pieces], axis=1)
    whole = np.stack([MEL.features(samples) for samples in audio])
    np.testing.assert_allclose(streamed, whole, atol=1e-5)


def test_silence_is_constant() -> None:
    np.testing.assert_allclose(MEL.features(np.zeros(16_000, np.float32)), SILENT, atol=1e-5)


def test_values_are_at_most_80_db_below_the_loudest_of_their_step() -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000).astype(np.float32)
    steps = MEL.features(tone).reshape(-1, FRAMES * 32)
    assert np.ptp(steps, axis=1).max() <= 8.0 + 1e-5


def test_a_clip_without_samples_has_no_frames() -> None:
    assert MEL.features(np.empty(0, np.float32)).shape == (0, 32)


def test_filters_have_equal_areas_within_their_limits() -> None:
    weights = mel_weights(FRONT_END)
    hertz = np.arange(257) * 16_000 / 512
    assert weights.shape == (257, 32)
    assert not weights[(hertz < 60) | (hertz > 3_800)].any()
    np.testing.assert_allclose(weights[:, 20:].sum(axis=0) * 16_000 / 512, 1, atol=0.05)
