from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from helpers import wake_words
from helpers.commands import run
from trigger_api import runtimes
from trigger_api.observability.metrics import MULTIPROC_DIR

pytestmark = pytest.mark.usefixtures("numpy_model", "quiet")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
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


def test_passes_its_options_to_the_server_and_its_workers(models: Path, started: list[dict[str, Any]]) -> None:
    code, _ = run("serve", "--port", "9", "--workers", "2", "--models", str(models))
    assert code == 0
    (options,) = started
    assert (options["host"], options["port"], options["workers"]) == ("127.0.0.1", 9, 2)
    assert options["counters"]
    assert os.environ["TRIGGER_API_MODELS"] == str(models)


def test_models_are_named_one_by_one_or_together(tmp_path: Path, started: list[dict[str, Any]]) -> None:
    one, two, three = (wake_words.write(tmp_path / f"{name}.onnx") for name in ("alexa", "jarvis", "computer"))
    assert run("serve", "--models", f"{one},{two}", "--models", str(three))[0] == 0
    assert os.environ["TRIGGER_API_MODELS"] == os.pathsep.join(map(str, (one, two, three)))
    code, output = run("models")
    assert code == 0
    assert all(name in output for name in ("alexa", "jarvis", "computer"))


def test_a_keras_file_without_tensorflow_is_an_error(
    models: Path, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    code, output = run("serve", "--models", str(models))
    assert code == 2
    assert "install trigger-api[tensorflow]" in output
    assert started == []


def test_refuses_an_open_address_without_a_token(
    models: Path, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
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


def test_reports_an_invalid_setting(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_PORT", "high")
    code, output = run("serve")
    assert code == 2
    assert "TRIGGER_API_PORT" in output


def test_reports_a_setting_that_is_not_json(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_LIMITS", "{")
    code, output = run("serve")
    assert (code, output) == (2, "error: TRIGGER_API_LIMITS: this is not valid JSON\n")


@pytest.mark.parametrize("command", ["serve", "models", "wyoming"])
def test_a_wrong_value_within_a_setting_is_one_line(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_LIMITS", '{"beep": {"queue": "long"}}')
    code, output = run(command)
    assert (code, output.count("\n")) == (2, 1)
    assert output.startswith("error: TRIGGER_API_LIMITS: queue: Input should be a valid integer")


def test_refuses_a_folder_without_models(tmp_path: Path, started: list[dict[str, Any]]) -> None:
    code, output = run("serve", "--models", str(tmp_path))
    assert code == 2
    assert "no model in" in output
    assert started == []


def test_listens_anywhere_if_everybody_needs_an_account(
    models: Path, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIGGER_API_AUTH", "required")
    arguments = ["serve", "--host", "0.0.0.0", "--models", str(models)]  # noqa: S104
    assert run(*arguments)[0] == 0
    monkeypatch.setenv("TRIGGER_API_WYOMING_URI", "tcp://127.0.0.1:0")
    code, output = run(*arguments)
    assert (code, "Wyoming has no tokens" in output) == (2, True)
    assert len(started) == 1
