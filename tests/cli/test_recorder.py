import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from helpers import fake_sounddevice
from helpers.sounds import voiced
from trigger_api.cli import audio_source
from trigger_api.cli.main import app
from trigger_api.cli.recorder import CLIP_SECONDS, RecorderError, record
from trigger_api.datasets.speech import RATE, Samples, read

SILENCE = np.zeros(int(CLIP_SECONDS * RATE), np.float32)


def pcm(samples: Samples) -> bytes:
    return (np.resize(np.concatenate([samples, SILENCE]), len(SILENCE)) * 32_767).astype("<i2").tobytes()


def without_portaudio(_: int) -> None:
    raise OSError("PortAudio library not found")


def heard(*takes: Samples) -> Callable[[], AsyncIterator[bytes]]:
    left = list(takes)

    async def open_microphone() -> AsyncIterator[bytes]:
        data = pcm(left.pop(0))
        for start in range(0, len(data), 1_280):
            yield data[start : start + 1_280]

    return open_microphone


def test_a_bad_recording_is_repeated(tmp_path: Path) -> None:
    lines: list[str] = []
    record("hey you", tmp_path, 2, heard(SILENCE, voiced(0.7), voiced(0.6)), lines.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hey-you-001.wav", "hey-you-002.wav"]
    assert lines[0] == "say 'hey you' (1 of 2)"
    assert lines[1] == "please repeat: no speech"
    assert lines[2].startswith("good: 0.7 s")
    assert len(read(tmp_path / "hey-you-001.wav")) == len(SILENCE)


def test_existing_recordings_are_kept(tmp_path: Path) -> None:
    for _ in range(2):
        record("beep", tmp_path, 1, heard(voiced(0.7)), lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beep-001.wav", "beep-002.wav"]


def test_a_dead_microphone_ends_it(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match="right microphone"):
        record("beep", tmp_path, 1, heard(SILENCE, SILENCE, SILENCE), lambda _: None)


def test_the_command_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sounddevice.install(monkeypatch, pcm(voiced(0.7)))
    result = CliRunner().invoke(app, ["record", "--word", "beep", "--out", str(tmp_path), "--count", "1"])
    assert result.exit_code == 0
    assert (tmp_path / "beep-001.wav").exists()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"no_device": "Error querying device -1"}, "no microphone can record at 16000 Hz: Error querying device -1"),
        ({"fails": "Invalid number of channels"}, "the microphone failed: Invalid number of channels"),
    ],
)
def test_the_command_needs_a_microphone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, str], message: str
) -> None:
    fake_sounddevice.install(monkeypatch, **fault)  # type: ignore[arg-type]
    result = CliRunner().invoke(app, ["record", "--word", "beep", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"error: {message}"
    assert "Traceback" not in result.output


def test_the_command_refuses_nonsense(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["record", "--word", "42", "--out", str(tmp_path)]).exit_code == 2


def test_the_word_is_checked_before_the_microphone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_source, "microphone", without_portaudio)
    result = CliRunner().invoke(app, ["record", "--word", "42", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "too short" in result.stderr


def test_a_missing_portaudio_is_reported_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    result = CliRunner().invoke(app, ["record", "--word", "beep", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "libportaudio2" in result.stderr
