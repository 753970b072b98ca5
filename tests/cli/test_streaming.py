from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers import fake_sounddevice
from helpers.beep import beeps, encode
from helpers.live_server import Make, Server, serve, server, word
from trigger_api.cli.main import app

__all__ = ["serve", "server"]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "word.wav"
    path.write_bytes(encode(beeps([1.0], seconds=1.5, rate=8_000), 8_000))
    return path


async def listen(*arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    """The command, in a thread: it has an event loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, app, ["listen", *arguments], input=stdin)
    return result.exit_code, result.output


async def test_a_file_is_played_at_its_own_speed(server: Server, recording: Path) -> None:
    started = time.monotonic()
    code, output = await listen(str(recording), "--url", f"http://127.0.0.1:{server.port}", "--room", "hall")
    assert code == 0
    assert time.monotonic() - started >= 1.4
    lines = output.splitlines()
    assert lines[0] == "listening for 'beep' (threshold 0.5) in hall"
    assert lines[1].split()[:4] == ["0.81", "s", "beep", "1.000"]
    assert lines[2].endswith("end: 1 detected")


async def test_raw_samples_from_standard_input(server: Server) -> None:
    options = ["--url", f"ws://127.0.0.1:{server.port}/", "--rate", "16000", "--json", "--scores"]
    code, output = await listen("-", *options, stdin=word())
    messages = [json.loads(line) for line in output.splitlines()]
    assert code == 0
    assert [message["type"] for message in messages if message["type"] != "score"] == ["ready", "detection", "stopped"]
    assert sum(message["type"] == "score" for message in messages) >= 18


async def test_a_machine_without_a_microphone_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sounddevice.install(monkeypatch, no_device="Error querying device -1")
    code, output = await listen("mic", "--url", "http://127.0.0.1:9")
    assert (code, output) == (2, "error: no microphone can record at 16000 Hz: Error querying device -1\n")


async def test_errors_of_the_server_are_printed(serve: Make, recording: Path) -> None:
    async with serve(tokens="secret") as server:
        url = f"http://127.0.0.1:{server.port}"
        code, output = await listen(str(recording), "--url", url)
        assert (code, "401" in output) == (2, True)
        code, output = await listen(str(recording), "--url", url, "--token", "secret", "--word", "nix")
        assert code == 1
        assert "no model detects this word" in output


async def test_no_server_and_no_file(tmp_path: Path, recording: Path) -> None:
    code, output = await listen(str(recording), "--url", "http://127.0.0.1:9")
    assert (code, output.startswith("error: ")) == (2, True)
    code, output = await listen(str(tmp_path / "none.wav"))
    assert (code, "none.wav" in output) == (2, True)


def test_wyoming_is_off_where_everybody_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_AUTH", "required")
    result = CliRunner().invoke(app, ["wyoming"])
    assert (result.exit_code, "Wyoming has no tokens" in result.output) == (2, True)
