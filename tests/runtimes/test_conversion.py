from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from trigger_api.model_card import CONVERTED_FILE
from trigger_api.runtimes import conversion


class Commands:
    """Stands for ``subprocess.run``: keeps the commands and ends as told."""

    def __init__(self, code: int = 0, stderr: str = "") -> None:
        self.seen: list[list[str]] = []
        self.code = code
        self.stderr = stderr

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.seen.append(command)
        if not self.code:
            (Path(command[-1]) / CONVERTED_FILE).touch()
        return subprocess.CompletedProcess(command, self.code, "", self.stderr)


def run(monkeypatch: pytest.MonkeyPatch, commands: Commands, folder: Path) -> list[bool]:
    """Whether the conversion is there, asked for twice."""
    monkeypatch.setattr(subprocess, "run", commands)
    return [conversion.convert(folder / "model", folder / "cache") for _ in range(2)]


def test_a_model_is_converted_by_a_command_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = Commands()
    assert run(monkeypatch, commands, tmp_path) == [True, True]
    (command,) = commands.seen
    assert command[1:] == ["-m", "trigger_api", "convert", str(tmp_path / "model"), "--out", str(tmp_path / "cache")]


def test_a_refusal_is_remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands, log = Commands(2, "noise\nerror: it has a loop\n"), Mock()
    monkeypatch.setattr(conversion, "_log", log)
    assert run(monkeypatch, commands, tmp_path) == [False, False]
    assert len(commands.seen) == 1
    (warning,) = log.warning.call_args_list
    assert warning.kwargs["reason"] == "error: it has a loop"


def test_another_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = Commands(-9)
    assert run(monkeypatch, commands, tmp_path) == [False, False]
    assert len(commands.seen) == 2


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in its place")
    commands = Commands()
    assert run(monkeypatch, commands, tmp_path) == [False, False]
    assert not commands.seen
