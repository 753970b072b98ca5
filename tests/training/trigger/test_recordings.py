from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.training.trigger.recordings import RATE, audio_files, read, speech_span


def burst(before: float, length: float, after: float, noise: float = 1e-4) -> np.ndarray:
    rng = np.random.default_rng(0)
    samples = noise * rng.standard_normal(int((before + length + after) * RATE))
    samples[int(before * RATE) : int((before + length) * RATE)] += 0.1 * rng.standard_normal(int(length * RATE))
    return samples.astype(np.float32)


def test_speech_is_found_in_noise() -> None:
    span = speech_span(burst(0.5, 0.4, 0.7))
    assert span == pytest.approx((0.5 * RATE, 0.9 * RATE), abs=RATE / 50)


def test_a_closure_does_not_cut_the_word() -> None:
    samples = np.concatenate([burst(0.3, 0.2, 0.07), burst(0.06, 0.1, 0.4)])
    span = speech_span(samples)
    assert span == pytest.approx((0.3 * RATE, 0.73 * RATE), abs=RATE / 50)


def test_a_click_is_not_the_word() -> None:
    samples = burst(0.5, 0.4, 1.0)
    samples[int(1.6 * RATE)] = 0.9
    span = speech_span(samples)
    assert span is not None
    assert span[1] == pytest.approx(0.9 * RATE, abs=RATE / 50)


@pytest.mark.parametrize("length", [0, 100, 800])
def test_too_short_is_no_speech(length: int) -> None:
    assert speech_span(np.ones(length, np.float32)) is None


def test_reading_mixes_and_resamples(tmp_path: Path) -> None:
    tone = np.sin(np.arange(44_100) * 2 * np.pi * 440 / 44_100)
    soundfile.write(tmp_path / "stereo.wav", np.stack([tone, tone], axis=1), 44_100)
    samples = read(tmp_path / "stereo.wav")
    assert samples.dtype == np.float32
    assert len(samples) == RATE
    assert np.abs(samples).max() == pytest.approx(1.0, abs=0.01)


def test_files_are_found_in_order_below_folders(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.wav", "a.ogg", "deep/c.flac", "notes.txt"):
        (tmp_path / name).touch()
    found = audio_files([tmp_path, tmp_path / "b.wav"])
    assert [path.name for path in found] == ["a.ogg", "b.wav", "c.flac", "b.wav"]
