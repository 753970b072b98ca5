from collections.abc import Callable

import numpy as np
import pytest

from trigger_api.datasets import audio_augmentation as augment
from trigger_api.datasets.speech import RATE, Samples

RNG = np.random.default_rng


def tone(hertz: float = 300.0, seconds: float = 1.0) -> Samples:
    return (0.3 * np.sin(np.arange(int(seconds * RATE)) * 2 * np.pi * hertz / RATE)).astype(np.float32)


def pitch(samples: Samples) -> float:
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * RATE / len(samples))


@pytest.mark.parametrize("factor", [0.75, 1.0, 1.3])
def test_tempo_keeps_the_pitch(factor: float) -> None:
    changed = augment.change_tempo(tone(), factor)
    assert len(changed) == pytest.approx(RATE / factor, rel=0.01)
    assert pitch(changed) == pytest.approx(300, rel=0.02)


def test_speed_moves_the_pitch() -> None:
    changed = augment.change_speed(tone(), 1.2)
    assert len(changed) == pytest.approx(RATE / 1.2, rel=0.01)
    assert pitch(changed) == pytest.approx(360, rel=0.02)


def test_very_short_clips_survive_another_voice() -> None:
    assert np.isfinite(augment.another_voice(np.ones(300, np.float32), RNG(0))).all()


def test_a_room_keeps_the_moment() -> None:
    click = np.zeros(RATE, np.float32)
    click[5_000] = 1
    heard = augment.filtered(click, None, augment.room(RNG(1)))
    assert len(heard) == RATE
    assert np.abs(heard).argmax() == 5_000
    assert np.abs(heard[:5_000]).max() < 1e-5


def test_a_microphone_has_no_gap_and_no_nan() -> None:
    response = augment.microphone(augment.spectrum_size(RATE), RNG(2))
    assert np.isfinite(response).all()
    assert np.isfinite(augment.filtered(tone(), response, None)).all()


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_mixing_keeps_the_ratio(snr_db: float) -> None:
    speech, background = tone(), RNG(3).standard_normal(RATE).astype(np.float32)
    added = augment.mixed(speech, background, snr_db) - speech
    ratio = 10 * np.log10((speech**2).mean() / (added**2).mean())
    assert ratio == pytest.approx(snr_db, abs=0.5)


def test_mixing_silence_stays_finite() -> None:
    assert np.isfinite(augment.mixed(np.zeros(RATE, np.float32), np.zeros(RATE, np.float32), 10)).all()


def test_levels_are_peaks_in_16_bits() -> None:
    quiet = augment.at_level(tone(), -45)
    assert 20 * np.log10(np.abs(quiet).max()) == pytest.approx(-45, abs=0.1)
    np.testing.assert_array_equal(quiet * 32_768, np.round(quiet * 32_768))


@pytest.mark.parametrize("clips", [[], [tone(seconds=0.5)]])
def test_noise_has_the_length_asked_for(clips: list[Samples]) -> None:
    assert len(augment.noise(RATE, RNG(4), clips)) == RATE


@pytest.mark.parametrize("change", [augment.another_voice, augment.overdriven])
def test_the_same_generator_gives_the_same(change: Callable[[Samples, np.random.Generator], Samples]) -> None:
    np.testing.assert_array_equal(change(tone(), RNG(5)), change(tone(), RNG(5)))


def test_a_telephone_passes_a_band_in_eight_bits() -> None:
    heard = augment.telephone(tone(100) + tone(1_000) + tone(5_000))
    power = np.abs(np.fft.rfft(heard)) / (len(heard) / 2)
    assert power[1_000] == pytest.approx(0.3, rel=0.05)
    assert max(power[100], power[5_000]) < 0.01
    assert len(np.unique(heard)) <= 2 * 127 + 1
    assert not augment.telephone(np.zeros(300, np.float32)).any()
