from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from trigger_api.datasets.speech import RATE, audio_files, keep, peak_dbfs, read, readable, speech_span


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


@pytest.mark.parametrize("peak", [0.0, 1e-5, 2e-4, np.nan])
def test_nobody_speaks_in_silence(peak: float) -> None:
    """Nothing, dither, and a word far too quiet."""
    assert speech_span(burst(0.5, 0.4, 0.7) * np.float32(peak)) is None
    assert speech_span(burst(0.5, 0.4, 0.7) * np.float32(1e-2)) is not None


def test_loudness_is_that_of_the_loudest_sample() -> None:
    assert peak_dbfs(np.array([0.01, -0.1], np.float32)) == pytest.approx(-20, abs=0.01)
    assert peak_dbfs(np.zeros(0, np.float32)) < -100


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


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_numbers_cannot_be_read(tmp_path: Path, value: float) -> None:
    soundfile.write(tmp_path / "bad.wav", np.array([0.1, value, 0.1]), RATE, subtype="FLOAT")
    with pytest.raises(RuntimeError, match="NaN"):
        read(tmp_path / "bad.wav")
    assert readable(tmp_path / "bad.wav") is None
    assert readable(tmp_path / "absent.wav") is None


def test_a_file_is_kept_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path / "a.npy", np.arange(3))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]

    def killed(file: BinaryIO, _: np.ndarray) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path / "b.npy", np.arange(3))
    assert not (tmp_path / "b.npy").exists()
