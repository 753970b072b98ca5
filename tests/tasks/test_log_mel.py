import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trigger_api.cards import LogMelFrontEnd
from trigger_api.tasks.log_mel import LogMel, mel_weights

RATE = 16_000
FRONT_END = LogMel(LogMelFrontEnd())


def voice(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise whose loudness rises and falls a few times a second, about -20 dBFS."""
    samples = int(seconds * RATE)
    envelope = 0.01 + np.sin(np.arange(samples) * 2 * np.pi * 3 / RATE) ** 2
    return (0.1 * envelope * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def test_one_frame_every_hop() -> None:
    features = FRONT_END.features(voice(1.0))
    assert features.shape == (100, 40)
    assert features.dtype == np.float32


@pytest.mark.parametrize("samples", [0, 1, 159])
def test_less_than_a_hop_is_no_frame(samples: int) -> None:
    assert FRONT_END.features(np.ones(samples, np.float32)).shape == (0, 40)


@settings(max_examples=25, deadline=None)
@given(chunks=st.lists(st.integers(0, 5_000), max_size=8))
def test_a_stream_sees_what_the_whole_clip_sees(chunks: list[int]) -> None:
    samples = voice(1.5)
    pieces = np.split(samples, np.minimum(np.cumsum(chunks), len(samples)).astype(int))
    state, seen = FRONT_END.start(), []
    for piece in pieces:
        features, state = FRONT_END.step(piece, state)
        seen.append(features)
    np.testing.assert_allclose(np.concatenate(seen), FRONT_END.features(samples), atol=1e-5)


@pytest.mark.parametrize("level_db", [-25, 17])
def test_gain_changes_nothing(level_db: float) -> None:
    samples = voice(2.0)
    louder = samples * np.float32(10 ** (level_db / 20))
    np.testing.assert_allclose(FRONT_END.features(louder), FRONT_END.features(samples), atol=1e-3)


def test_the_future_changes_nothing() -> None:
    samples = voice(2.0)
    changed = samples.copy()
    changed[RATE:] = 0
    np.testing.assert_array_equal(FRONT_END.features(samples)[:100], FRONT_END.features(changed)[:100])


def test_silence_is_finite_and_low() -> None:
    features = FRONT_END.features(np.zeros(RATE, np.float32))
    assert np.isfinite(features).all()
    assert features.max() < -0.5


def test_a_tone_peaks_in_its_band() -> None:
    tone = np.sin(np.arange(RATE) * 2 * np.pi * 1_000 / RATE).astype(np.float32)
    centres = mel_weights(LogMelFrontEnd(), 400).argmax(axis=0) * RATE / 400
    heard = centres[FRONT_END.features(tone)[50].argmax()]
    assert abs(heard - 1_000) < 100


def test_the_level_is_forgotten_at_the_cards_pace() -> None:
    loud_then_quiet = np.concatenate([voice(0.5), 0.01 * voice(8.0, seed=1)])
    features = FRONT_END.features(loud_then_quiet.astype(np.float32))
    assert features[800:840].max() > features[60:100].max() + 1


def test_bands_are_flat_for_white_noise_up_to_the_emphasis() -> None:
    weights = mel_weights(LogMelFrontEnd(bands=20), 400)
    assert weights.shape == (201, 20)
    assert (weights >= 0).all()
    assert (weights.sum(axis=0) > 0).all()
