from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from trigger_api.cli.main import app
from trigger_api.datasets import confusables


def messages_of(tmp_path: Path, word: str) -> str:
    """The messages of a run that fails at once, since the recordings are silent."""
    recordings = tmp_path / "of [red] me"
    recordings.mkdir()
    soundfile.write(recordings / "[bold]silent.wav", np.zeros(16_000), 16_000)
    command = ["train", "trigger", "--word", word, "--out", str(tmp_path / "out"), "--recordings", str(recordings)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    return " ".join(result.stderr.split())


@pytest.mark.slow
def test_file_names_are_printed_as_they_are(tmp_path: Path) -> None:
    assert "[bold]silent.wav: no speech; left out" in messages_of(tmp_path, "activate")


def test_a_word_without_confusables_gets_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confusables, "confusables", lambda _: [])
    assert "no words that sound like 'zorblat' are known" in messages_of(tmp_path, "zorblat")


def test_a_word_with_confusables_gets_no_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confusables, "confusables", lambda _: ["captivate"])
    assert "no words that sound like" not in messages_of(tmp_path, "activate")
