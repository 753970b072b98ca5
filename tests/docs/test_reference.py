"""Pages that say what the code knows: each setting, command, route and method is on them."""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from trigger_api.app import create_app
from trigger_api.client import AsyncClient, Client
from trigger_api.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["configuration.md", "command-line.md"])
def test_generated_parts_are_up_to_date(name: str) -> None:
    updated: Callable[[str], str] = runpy.run_path(str(DOCS / "reference.py"))["updated"]
    assert page(name) == updated(page(name)), "run `make docs`, and commit what it changes"


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
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "deploy").glob("*"), ROOT / "Dockerfile"]
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
