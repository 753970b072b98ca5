from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
import uvicorn
from typer.testing import CliRunner

from helpers import wake_words
from helpers.beep import BeepModel, add_model, beeps, encode, trigger_card
from trigger_api import service
from trigger_api.cli import main
from trigger_api.model_card import ModelCard
from trigger_api.observability.metrics import MULTIPROC_DIR
from trigger_api.runtimes import LoadedModel, LoadOptions, openwakeword, openwakeword_export


@pytest.fixture(autouse=True)
def _numpy_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands load the test's network instead of Keras's."""

    def load(path: Path, card: ModelCard, *, options: LoadOptions) -> LoadedModel:
        if card.name == "broken":
            raise ValueError("half a file")
        return BeepModel()

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
    result = CliRunner().invoke(main.app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package one that is not installed."""

    class Nowhere:
        def __init__(self, package: str) -> None:
            self.package = package

        def find_spec(self, name: str, *args: object) -> None:
            if name == self.package:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def hide(package: str) -> None:
        users = {"wyoming": "trigger_api.streaming.wyoming", "psycopg": "trigger_api.streaming.postgres"}
        loaded = [name for name in sys.modules if name.partition(".")[0] == package or name == users.get(package)]
        for name in loaded:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Nowhere(package), *sys.meta_path])

    return hide


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        ("listen --room kitchen", "sounddevice", "listen"),
        ("record --word jarvis --out x", "sounddevice", "listen"),
        ("wyoming --uri unix:///x", "wyoming", "wyoming"),
        ("serve", "wyoming", "wyoming"),
        ("serve", "psycopg", "postgres"),
    ],
)
def test_a_missing_package_is_told_with_the_extra_that_brings_it(
    command: str, package: str, extra: str, missing: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing(package)
    monkeypatch.setenv("TRIGGER_API_WYOMING_URI", "tcp://127.0.0.1:1" if package == "wyoming" else "")
    monkeypatch.setenv("TRIGGER_API_DATABASE_URL", "postgresql://x/x" if package == "psycopg" else "")
    assert run(*command.split()) == (2, f"error: this needs the extra '{extra}': pip install '.[{extra}]'\n")


def test_a_package_is_missed_wherever_it_is_imported() -> None:
    def needy() -> None:
        raise ModuleNotFoundError("No module named 'tf2onnx'", name="tf2onnx")

    group = typer.Typer(cls=main._Commands, pretty_exceptions_enable=False)
    group.command()(needy)
    group.command("other")(needy)
    result = CliRunner().invoke(group, ["needy"])
    assert (result.exit_code, result.output) == (2, "error: this needs the extra 'onnx': pip install '.[onnx]'\n")


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
        assert "not a recording" in lines[2]["error"]
        assert code == 1
        assert "error" in run("detect", recordings[2], "--models", str(models))[1]

    @pytest.mark.parametrize("name", ["[red]a.wav", "x[b].wav", ":cat:.wav"])
    def test_names_of_files_are_printed_as_they_are(
        self, name: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path(name).write_bytes(b"text")
        assert name in run("detect", name, "--models", str(models))[1]

    def test_a_name_that_looks_like_the_end_of_a_colour(self, models: Path, tmp_path: Path) -> None:
        (tmp_path / "x[").mkdir()
        path = tmp_path / "x[" / "b].wav"
        path.write_bytes(b"text")
        assert "x[/b].wav" in run("detect", str(path), "--models", str(models))[1]

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

    def test_what_is_said_about_one_is_printed_as_it_is(self, models: Path) -> None:
        add_model(models, trigger_card("chime").model_copy(update={"description": "hears [/] and [bold]"}))
        assert "hears [/] and [bold]" in run("models", "--models", str(models))[1]


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

    def test_models_are_named_one_by_one_or_together(self, tmp_path: Path, started: list[dict[str, Any]]) -> None:
        one, two, three = (wake_words.write(tmp_path / f"{name}.onnx") for name in ("alexa", "jarvis", "computer"))
        assert run("serve", "--models", f"{one},{two}", "--models", str(three))[0] == 0
        assert os.environ["TRIGGER_API_MODELS"] == os.pathsep.join(map(str, (one, two, three)))
        code, output = run("models")
        assert code == 0
        assert all(name in output for name in ("alexa", "jarvis", "computer"))

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

    @pytest.mark.parametrize("command", ["serve", "models", "wyoming"])
    def test_a_wrong_value_within_a_setting_is_one_line(self, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIGGER_API_LIMITS", '{"beep": {"queue": "long"}}')
        code, output = run(command)
        assert (code, output.count("\n")) == (2, 1)
        assert output.startswith("error: TRIGGER_API_LIMITS: queue: Input should be a valid integer")

    def test_refuses_a_folder_without_models(self, tmp_path: Path, started: list[dict[str, Any]]) -> None:
        code, output = run("serve", "--models", str(tmp_path))
        assert code == 2
        assert "no model in" in output
        assert started == []


class TestWakeWords:
    """Files of openWakeWord's on the command line."""

    @pytest.mark.slow
    def test_there_is_nothing_to_convert(self, tmp_path: Path) -> None:
        pytest.importorskip("tf2onnx")
        path = wake_words.write(tmp_path / "alexa.onnx")
        assert run("convert", str(path)) == (0, "alexa 1: is served as it is\n")

    def test_export_names_the_file_by_the_word(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        card = openwakeword.card(wake_words.write(tmp_path / "hey_jarvis.onnx"))
        folder = add_model(tmp_path / "models", card)
        monkeypatch.setattr(openwakeword_export, "export", lambda folder, out: card)
        assert run("export", str(folder)) == (0, "hey_jarvis.onnx: hey jarvis, from a score of 0.5\n")
        out = tmp_path / "other.onnx"
        assert run("export", str(folder), "--format", "openwakeword", "--out", str(out))[1].startswith(str(out))

    def test_export_says_what_it_cannot(self, models: Path) -> None:
        add_model(models, trigger_card("alarm"))
        code, output = run("export", str(models))
        assert code == 2
        assert output.endswith(f"models in {models}: name the folder of one\n")
        backbone = next((models / "embedding").glob("*/*"))
        assert run("export", str(backbone))[1].endswith("is not a head on the backbone speech-embedding\n")
