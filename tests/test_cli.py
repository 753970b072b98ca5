from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn
from typer.testing import CliRunner

from conftest import BeepNetwork, add_model, beeps, encode, trigger_card
from trigger_api import cli, service
from trigger_api.cards import ModelCard
from trigger_api.metrics import MULTIPROC_DIR
from trigger_api.runtimes import Network, Options


@pytest.fixture(autouse=True)
def _numpy_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands load the test's network instead of Keras's."""

    def load(path: Path, card: ModelCard, *, options: Options) -> Network:
        if card.name == "broken":
            raise ValueError("half a file")
        return BeepNetwork()

    monkeypatch.setattr(service, "load", load)
    monkeypatch.setenv("TRIGGER_API_BUNDLED", "false")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
def recordings(tmp_path: Path) -> list[str]:
    (tmp_path / "word.wav").write_bytes(encode(beeps([1.0], seconds=2)))
    (tmp_path / "none.wav").write_bytes(encode(beeps([], seconds=2)))
    (tmp_path / "text.wav").write_bytes(b"text")
    return [str(tmp_path / name) for name in ("word.wav", "none.wav", "text.wav")]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


class TestDetect:
    def test_prints_a_table(self, models: Path, recordings: list[str]) -> None:
        code, output = run("detect", *recordings[:2], "--models", str(models))
        assert code == 0
        word, none = [line for line in output.splitlines() if ".wav" in line]
        assert "yes" in word
        assert "no" in none

    def test_prints_json_and_tells_of_what_it_could_not_read(self, models: Path, recordings: list[str]) -> None:
        code, output = run("detect", *recordings, "--models", str(models), "--json", "--threshold", "0.25")
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        assert [line.get("detected") for line in lines] == [True, False, None]
        assert lines[0]["detections"][0]["time_ms"] == pytest.approx(810, abs=40)
        assert lines[0]["threshold"] == 0.25
        assert "no recording" in lines[2]["error"]
        assert code == 1
        assert "error" in run("detect", recordings[2], "--models", str(models))[1]

    def test_says_what_is_wrong_with_the_model(self, models: Path, recordings: list[str]) -> None:
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


class TestModels:
    def test_lists_them(self, models: Path) -> None:
        code, output = run("models", "--models", str(models))
        assert code == 0
        assert "beep" in output


class TestServe:
    @pytest.fixture
    def started(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []
        counters = MULTIPROC_DIR
        monkeypatch.setattr(
            uvicorn,
            "run",
            lambda app, **options: calls.append({**options, "counters": os.environ.get(counters)}),
        )
        for name in ("HOST", "PORT", "WORKERS", "MODELS"):
            monkeypatch.setenv(f"TRIGGER_API_{name}", "")
            monkeypatch.delenv(f"TRIGGER_API_{name}")
        monkeypatch.setenv(counters, "")
        monkeypatch.delenv(counters)
        return calls

    def test_passes_its_options_to_the_server_and_its_workers(
        self, models: Path, started: list[dict[str, Any]]
    ) -> None:
        code, _ = run("serve", "--port", "9", "--workers", "2", "--models", str(models))
        assert code == 0
        (options,) = started
        assert (options["host"], options["port"], options["workers"]) == ("127.0.0.1", 9, 2)
        assert options["counters"]
        assert os.environ["TRIGGER_API_MODELS"] == str(models)

    def test_refuses_an_open_address_without_a_token(
        self, models: Path, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arguments = ["serve", "--host", "0.0.0.0", "--models", str(models)]  # noqa: S104
        code, output = run(*arguments)
        assert code == 2
        assert "TRIGGER_API_TOKENS" in output
        assert started == []
        monkeypatch.setenv("TRIGGER_API_TOKENS", "secret")
        assert run(*arguments)[0] == 0
        monkeypatch.delenv("TRIGGER_API_TOKENS")
        monkeypatch.setenv("TRIGGER_API_AUTH", "open")
        assert run(*arguments)[0] == 0
        assert len(started) == 2
        assert started[0]["counters"] is None

    def test_says_which_setting_is_wrong(self, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIGGER_API_PORT", "high")
        code, output = run("serve")
        assert code == 2
        assert "TRIGGER_API_PORT" in output

    def test_says_which_setting_is_not_json(self, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIGGER_API_LIMITS", "{")
        code, output = run("serve")
        assert (code, output) == (2, "error: TRIGGER_API_LIMITS: this is not valid JSON\n")

    def test_refuses_a_folder_without_models(self, tmp_path: Path, started: list[dict[str, Any]]) -> None:
        code, output = run("serve", "--models", str(tmp_path))
        assert code == 2
        assert "no model in" in output
        assert started == []
