"""Follows docs/adding-a-task.md to the last command, in a copy of the package."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from helpers.beep import encode
from helpers.service_process import service_process

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-task.md").read_text(encoding="utf-8")
SERVER = "http://127.0.0.1:8000"
_PATH_LINE = re.compile(r"# (src/\S+?\.py)(: add at the end)?\n")


def blocks(language: str) -> list[str]:
    """The contents of the page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with everything in it that the page says."""
    root = tmp_path_factory.mktemp("project")
    package = root / "src" / "trigger_api"
    shutil.copytree(ROOT / "src" / "trigger_api", package, ignore=shutil.ignore_patterns("models", "__pycache__"))
    (package / "models").symlink_to(ROOT / "src" / "trigger_api" / "models")
    (root / "samples").symlink_to(ROOT / "samples")
    for block in blocks("python"):
        write(root, block)
    for block in blocks("diff"):
        patch(root, block)
    return root


def write(root: Path, block: str) -> None:
    """Create the file that a block names, or add the block to its end."""
    header = _PATH_LINE.match(block)
    assert header, block
    path, code = root / header[1], block[header.end() :]
    if header[2]:
        path.write_text(path.read_text(encoding="utf-8") + code, encoding="utf-8")
        return
    assert not path.exists(), path
    path.parent.mkdir(exist_ok=True)
    path.write_text(code, encoding="utf-8")


def patch(root: Path, block: str) -> None:
    """Change a file as a block says. Each run of lines must be there exactly once, as the page has it."""
    header = _PATH_LINE.match(block)
    assert header, block
    path = root / header[1]
    text = path.read_text(encoding="utf-8")
    for old, new in changes(block[header.end() :].splitlines()):
        assert text.count(old) == 1, f"{header[1]} has changed: {old!r}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def changes(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs of what is replaced and by what. A run ends where a line that stays or goes follows one that comes."""
    old: list[str] = []
    new: list[str] = []
    for line, following in zip(lines, [*lines[1:], "-"], strict=True):
        if line[0] in " -":
            old.append(line[1:])
        if line[0] in " +":
            new.append(line[1:])
        if line[0] == "+" and following[0] != "+":
            yield "".join(f"{each}\n" for each in old), "".join(f"{each}\n" for each in new)
            old, new = [], []


def command(name: str) -> list[str]:
    """The words of the page's command line for ``trigger-api name``."""
    (line,) = re.findall(rf"^\.venv/bin/trigger-api ({name} .*)$", "".join(blocks("sh")), re.MULTILINE)
    return shlex.split(line)


def environment(root: Path) -> dict[str, str]:
    """The copy in place of the package, and its own model alone."""
    return {**os.environ, "PYTHONPATH": str(root / "src"), "TRIGGER_API_BUNDLED": "false"}


def curl(root: Path, url: str) -> dict[str, Any]:
    """The answer to the page's request."""
    (line,) = re.findall(r"^curl .*$", "".join(blocks("sh")), re.MULTILINE)
    arguments = shlex.split(line.replace(SERVER, url))
    answer: dict[str, Any] = json.loads(subprocess.check_output([*arguments, "--silent"], cwd=root))
    return answer


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_page_leads_to_a_sixth_task_that_answers(copy: Path) -> None:
    train = [sys.executable, "-m", "trigger_api", *command("train")]
    subprocess.run(train, cwd=copy, env=environment(copy), check=True)
    with service_process(*command("serve"), cwd=copy, env=environment(copy)) as url:
        answer = curl(copy, url)
        shown = json.loads(blocks("json")[0])
        assert answer == {**shown, "score": pytest.approx(shown["score"], abs=0.1)}

        tone = encode(example_tone())
        answers = httpx.post(f"{url}/v1/voice-activity", files={"audio": tone}).json()
        assert not answers["speech"]

        unknown = httpx.post(f"{url}/v1/voice-activity", files={"audio": tone}, data={"modell": "x"})
        assert unknown.status_code == 422
        assert "/v1/voice-activity" in httpx.get(f"{url}/openapi.json").json()["paths"]


def example_tone() -> Any:
    import numpy as np

    return np.asarray(0.3 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000), np.float32)


def test_every_module_of_the_example_respects_the_import_contracts(copy: Path) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [linter, ROOT / "pyproject.toml", "--no-cache"], cwd=copy, env=environment(copy), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
