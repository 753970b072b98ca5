from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from helpers.sounds import voiced
from trigger_api.datasets.recording_checks import advice, check
from trigger_api.datasets.speech import RATE, Samples, speech_span


def test_a_good_recording_has_no_faults() -> None:
    found = check(voiced(0.7))
    assert (found.faults, found.usable) == ((), True)
    assert found.seconds == pytest.approx(0.7, abs=0.1)
    assert found.peak_dbfs == pytest.approx(-10.5, abs=0.5)


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (voiced(0.7, peak=0.003), "very quiet"),
        (np.clip(voiced(0.7, peak=4.0), -1, 1), "clipped"),
        (voiced(0.1), "word complete"),
        (voiced(3.5), "nothing but the word"),
    ],
)
def test_faults_are_told_apart(samples: Samples, fault: str) -> None:
    found = check(samples)
    assert any(fault in one for one in found.faults)
    assert found.usable


@pytest.mark.parametrize("samples", [np.zeros(2 * RATE), np.zeros(0), np.full(9, np.nan), voiced(0.7, peak=3e-4)])
def test_silence_is_of_no_use(samples: np.ndarray) -> None:
    assert speech_span(samples.astype(np.float32)) is None  # nor is it trained on
    assert check(samples.astype(np.float32)).faults == ("no speech",)
    assert not check(samples.astype(np.float32)).usable


@given(st.lists(st.floats(-1, 1, width=32), max_size=400))
def test_any_samples_can_be_looked_at(samples: list[float]) -> None:
    check(np.repeat(np.asarray(samples, np.float32), 50))


def test_a_folder_is_told_about(tmp_path: Path) -> None:
    for name, samples in {"good": voiced(0.7), "silent": np.zeros(RATE)}.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    (tmp_path / "lies.wav").write_text("no audio")
    told = advice(tmp_path)
    assert "silent.wav: no speech; left out" in told
    assert "lies.wav: not audio that can be read; left out" in told
    assert told[-1] == "1 of 3 recordings are usable; 10, by different people, would help a lot"


def test_enough_is_enough(tmp_path: Path) -> None:
    for number in range(30):
        soundfile.write(tmp_path / f"{number}.wav", voiced(0.5), RATE)
    assert advice(tmp_path) == ["30 of 30 recordings are usable"]
