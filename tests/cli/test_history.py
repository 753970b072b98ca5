"""``trigger-api history`` and ``trigger-api jobs`` against a running service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.beep import beeps, encode
from helpers.commands import run
from helpers.people import accounts_app
from helpers.running import serving
from trigger_api.client import Client
from trigger_api.settings import Settings

AUDIO = encode(beeps([1.0], seconds=2))


@pytest.fixture
def service(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    app = accounts_app(settings, f"sqlite:///{tmp_path}/d.sqlite3", auth="token", tokens="secret")
    with serving(app) as address, Client(f"http://{address}", token="secret") as client:
        monkeypatch.setenv("TRIGGER_API_URL", f"http://{address}")
        monkeypatch.setenv("TRIGGER_API_TOKEN", "secret")
        monkeypatch.setenv("COLUMNS", "200")
        yield client


def test_history(service: Client, tmp_path: Path) -> None:
    ids = [str(service.trigger(AUDIO, save=True).history_id) for _ in range(3)]
    code, output = run("history", "list", "--task", "trigger", "--limit", "2")
    assert code == 0
    assert [each in output for each in ids] == [False, True, True]
    assert "beep" in output
    code, output = run("history", "show", ids[0], "--media", str(tmp_path / "a.wav"))
    assert json.loads(output)["id"] == ids[0]
    assert (tmp_path / "a.wav").read_bytes() == AUDIO
    out = tmp_path / "all.jsonl"
    assert "3 predictions" in run("history", "export", str(out), "--media")[1]
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ids[::-1]
    assert "deleted 1 predictions" in run("history", "delete", ids[0], "--yes")[1]
    assert run("history", "show", ids[0])[0] == 2
    assert run("history", "delete", "--yes")[0] == 2
    assert "deleted 2 predictions" in run("history", "delete", "--label", "beep", "--since", "2026-01-01", "--yes")[1]


def test_jobs(service: Client, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.wav", "b.wav", "deep/c.WAV", "d.wav", "e.wav"):
        (folder / name).write_bytes(AUDIO)
    (folder / "notes.txt").write_text("no recording")
    code, output = run("jobs", str(folder), "--word", "beep")
    found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert code == 0
    assert [Path(each["file"]).name for each in found] == ["a.wav", "b.wav", "d.wav", "c.WAV", "e.wav"]
    assert all(each["detected"] for each in found)
    (folder / "broken.mp3").write_text("nonsense")
    code, output = run("jobs", str(folder / "broken.mp3"))
    assert (code, "not a recording" in output) == (1, True)
    assert run("jobs", str(tmp_path / "nowhere"))[0] == 2


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = run("history", "list", "--url", "http://127.0.0.1:9")
    assert (code, "cannot be reached" in output) == (2, True)
