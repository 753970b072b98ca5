from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.beep import add_model, beeps, encode, trigger_card
from helpers.commands import run

pytestmark = pytest.mark.usefixtures("numpy_model", "quiet")


@pytest.fixture
def recordings(tmp_path: Path) -> list[str]:
    (tmp_path / "word.wav").write_bytes(encode(beeps([1.0], seconds=2)))
    (tmp_path / "none.wav").write_bytes(encode(beeps([], seconds=2)))
    (tmp_path / "text.wav").write_bytes(b"text")
    return [str(tmp_path / name) for name in ("word.wav", "none.wav", "text.wav")]


def test_prints_a_table(models: Path, recordings: list[str]) -> None:
    code, output = run("detect", *recordings[:2], "--models", str(models))
    assert code == 0
    word, none = [line for line in output.splitlines() if ".wav" in line]
    assert "yes" in word
    assert "no" in none


def test_prints_json_with_errors_of_unreadable_files(models: Path, recordings: list[str]) -> None:
    code, output = run("detect", *recordings, "--models", str(models), "--json", "--threshold", "0.25")
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert [line.get("detected") for line in lines] == [True, False, None]
    assert lines[0]["detections"][0]["time_ms"] == pytest.approx(810, abs=40)
    assert lines[0]["threshold"] == 0.25
    assert "not a recording" in lines[2]["error"]
    assert code == 1
    assert "error" in run("detect", recordings[2], "--models", str(models))[1]


@pytest.mark.parametrize("name", ["[red]a.wav", "x[b].wav", ":cat:.wav"])
def test_names_of_files_are_printed_as_they_are(
    name: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"text")
    assert name in run("detect", name, "--models", str(models))[1]


def test_a_name_that_looks_like_the_end_of_a_colour(models: Path, tmp_path: Path) -> None:
    (tmp_path / "x[").mkdir()
    path = tmp_path / "x[" / "b].wav"
    path.write_bytes(b"text")
    assert "x[/b].wav" in run("detect", str(path), "--models", str(models))[1]


def test_reports_errors_of_the_model(models: Path, recordings: list[str]) -> None:
    add_model(models, trigger_card("broken"))
    for options, words in (
        (["--model", "nix"], "no such trigger model"),
        (["--model", "broken"], "broken cannot be loaded: ValueError: half a file"),
        (["--models", "/no/such/folder"], "no model in"),
    ):
        arguments = ["detect", recordings[0], "--models", str(models), *options]
        code, output = run(*arguments)
        assert code == 2
        assert words in output
