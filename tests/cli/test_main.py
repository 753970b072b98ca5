from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from helpers.commands import run
from trigger_api.cli import main

pytestmark = pytest.mark.usefixtures("numpy_model", "quiet")


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
def test_a_missing_package_is_reported_with_its_extra(
    command: str, package: str, extra: str, missing: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing(package)
    monkeypatch.setenv("TRIGGER_API_WYOMING_URI", "tcp://127.0.0.1:1" if package == "wyoming" else "")
    monkeypatch.setenv("TRIGGER_API_DATABASE_URL", "postgresql://x/x" if package == "psycopg" else "")
    assert run(*command.split()) == (2, f"error: this needs the extra '{extra}': pip install '.[{extra}]'\n")


def test_missing_packages_of_any_command_are_reported() -> None:
    def needy() -> None:
        raise ModuleNotFoundError("No module named 'tf2onnx'", name="tf2onnx")

    group = typer.Typer(cls=main._Commands, pretty_exceptions_enable=False)
    group.command()(needy)
    group.command("other")(needy)
    result = CliRunner().invoke(group, ["needy"])
    assert (result.exit_code, result.output) == (2, "error: this needs the extra 'convert': pip install '.[convert]'\n")
