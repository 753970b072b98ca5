from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from helpers.commands import run
from helpers.running import serving


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    with serving(app) as address:
        yield f"http://{address}"


def errors(*arguments: str) -> dict[str, int]:
    code, output = run("bench", *arguments, "--seconds", "0.2")
    assert code == 0, output
    figures = json.loads(output[output.index("{") :])
    assert figures["requests"] > 0
    found: dict[str, int] = figures["errors"]
    return found


def test_it_uploads_posts_and_gets(url: str, two_beeps: bytes, tmp_path: Path) -> None:
    recording, body = tmp_path / "a.wav", tmp_path / "body.json"
    recording.write_bytes(two_beeps)
    body.write_text(json.dumps({"ready": True}))
    assert errors(f"{url}/predict", "--file", str(recording)) == {}
    assert errors(f"{url}/v2/repository/index", "--body", str(body)) == {}
    assert errors(f"{url}/health/live", "--rate", "50", "--token", "unknown") == {}
