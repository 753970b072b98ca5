"""Pages that say what the code knows: each setting, command, route and method is on them."""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from trigger_api.app import create_app
from trigger_api.cli.main import app
from trigger_api.client import AsyncClient, Client
from trigger_api.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["configuration.md", "command-line.md"])
def test_generated_parts_are_up_to_date(name: str) -> None:
    updated: Callable[[str], str] = runpy.run_path(str(DOCS / "reference.py"))["updated"]
    assert page(name) == updated(page(name)), "run `.venv/bin/python docs/reference.py`, and commit what it changes"


def test_generated_parts_are_not_empty() -> None:
    assert "| `TRIGGER_API_PORT` | `8000` |" in page("configuration.md")
    assert "### train digits" in page("command-line.md")


def test_every_route_is_described(settings: Settings) -> None:
    described = page("http-api.md")
    paths = create_app(settings).openapi()["paths"]
    routes = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert not [route for route in routes if f"`{route}`" not in described]


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_method_of_the_client_is_described(client: type) -> None:
    described = page("client.md")
    methods = [name for name, _ in inspect.getmembers(client, inspect.isfunction) if not name.startswith("_")]
    assert not [name for name in methods if f"`{name}(" not in described]


def test_every_variable_that_a_page_names_exists() -> None:
    known = {f"TRIGGER_API_{name.upper()}" for name in Settings.model_fields} | {"TRIGGER_API_TOKEN"}
    deploy = [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *deploy, ROOT / "Dockerfile"]
    named = {name for each in pages for name in re.findall(r"TRIGGER_API_[A-Z_]*[A-Z]", each.read_text("utf-8"))}
    assert named <= known


def test_every_file_that_a_page_names_exists() -> None:
    pattern = r"`((?:src|tests|docs|benchmarks|deploy|examples|samples|requirements)/[\w./-]+)`"
    named = {name for each in DOCS.glob("*.md") for name in re.findall(pattern, each.read_text("utf-8"))}
    example = {name for name in named if "voice_activity" in name}
    assert not [name for name in named - example if not (ROOT / name).exists()]


def test_every_module_that_the_architecture_names_exists() -> None:
    package = ROOT / "src" / "trigger_api"
    text = page("architecture.md") + page("engine.md")
    named = set(re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)*\.py)`", text))
    assert "tasks/base.py" in named
    assert not [name for name in named if not (package / name).exists()]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Every ``trigger-api`` command in a code block, with its page; continued lines are put together."""
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").rglob("*.md")]
    for each in pages:
        text = re.sub(r" *\\\n *", " ", each.read_text(encoding="utf-8"))
        for line in re.findall(r"^(?: {4}.*|\.venv/bin/)\btrigger-api ([a-z].*)$", text, re.MULTILINE):
            yield each.name, re.split(r"\s+#|\s[|&]|\s\[|\s\.\.\.|`", line)[0].split()


def test_every_command_that_a_page_shows_exists() -> None:
    root = typer.main.get_command(app)
    lines = [(name, words) for name, words in command_lines() if "voice-activity" not in words]
    assert len(lines) > 40
    assert not [f"{name}: {' '.join(words)}" for name, words in lines if unknown(root, words)]


def unknown(command: Any, words: list[str]) -> list[str]:
    """The first of a command line's words that are not commands, or its options that do not exist."""
    while subcommands := getattr(command, "commands", None):
        if not words or words[0] not in subcommands:
            return words[:1] or ["nothing"]
        command, words = subcommands[words[0]], words[1:]
    known = {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
    return [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]


def test_every_option_that_a_page_mentions_exists() -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", page("command-line.md").partition("commands: begin")[2]))
    others = {"--help"}
    named = {
        (each.name, option)
        for each in DOCS.rglob("*.md")
        for option in re.findall(r"`(--[a-z][a-z-]+)", each.read_text(encoding="utf-8"))
    }
    assert not [(name, option) for name, option in named if option not in known | others]
