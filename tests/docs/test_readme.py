"""What the README shows is true: its commands run against the service as `make run` starts it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.service_process import service_process

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVER = "http://127.0.0.1:8000"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


COMMANDS = "".join(blocks("sh")).splitlines()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with all bundled models."""
    with service_process("serve") as url:
        yield url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader stands: the project, with a photo."""
    made = tmp_path_factory.mktemp("reader")
    (made / "samples").symlink_to(ROOT / "samples")
    shutil.copy(ROOT / "samples" / "note.jpg", made / "photo.jpg")
    return made


def curl(line: str, url: str, folder: Path) -> dict[str, Any]:
    arguments = shlex.split(line.replace(SERVER, url))
    output = subprocess.check_output([*arguments, "--silent", "--fail-with-body"], cwd=folder, timeout=60)
    answer: dict[str, Any] = json.loads(output)
    return answer


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("curl") and "-N" not in line])
def test_every_request_is_answered(line: str, url: str, folder: Path) -> None:
    assert curl(line, url, folder)["model"]


def test_the_answer_shown_is_the_answer(url: str, folder: Path) -> None:
    shown = json.loads(blocks("json")[0])
    answer = curl(COMMANDS[0], url, folder)
    for detection in (*shown["detections"], *answer["detections"]):
        detection["score"] = pytest.approx(detection["score"], abs=0.01)
    assert answer == shown


def test_live_audio_is_detected_and_sent_to_subscribers(url: str, folder: Path) -> None:
    (listen, events) = (line for line in COMMANDS if "listen" in line or "-N" in line)
    command = [sys.executable, "-m", "trigger_api", *shlex.split(listen)[1:], "--url", url]
    subscribe = shlex.split(events.replace(SERVER, url))
    with subprocess.Popen([*subscribe, "--silent"], stdout=subprocess.PIPE, text=True) as subscriber:
        try:
            detected = subprocess.check_output(command, cwd=folder, text=True, timeout=60)
            assert subscriber.stdout
            event = next(line for line in subscriber.stdout if line.startswith("data:"))
        finally:
            subscriber.terminate()
    assert "activate" in detected
    assert json.loads(event.removeprefix("data:"))["word"] == "activate"


def test_the_python_example_answers(url: str, folder: Path) -> None:
    (code,) = blocks("python")
    assert run_python(code, url, folder) == "[2186]\n"


@pytest.mark.parametrize("page", ["client.md", "http-api.md", "streaming.md"])
def test_the_python_examples_of_a_page_run(page: str, url: str, folder: Path) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for code in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        assert run_python(code, url, folder)


def run_python(code: str, url: str, folder: Path) -> str:
    host = url.removeprefix("http://")
    command = [sys.executable, "-c", code.replace("127.0.0.1:8000", host)]
    return subprocess.check_output(command, cwd=folder, text=True, timeout=60)


def test_every_link_to_a_file_resolves() -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", README)
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]
