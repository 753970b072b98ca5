"""Writes the parts of the pages that code knows best: the settings and the commands. Run by ``make docs``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from trigger_api.cli.main import app
from trigger_api.settings import ENV_PREFIX, Settings

DOCS = Path(__file__).parent
_HIDDEN = {"help", "install_completion", "show_completion"}


def settings() -> str:
    """A table of all settings, in the order of the class."""
    rows = [f"| `{ENV_PREFIX}{name.upper()}` | {_default(field)} | {_cell(field.description)} |"
            for name, field in Settings.model_fields.items()]  # fmt: skip
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def commands() -> str:
    """A section for each command, with a table of its options."""
    return "\n\n".join(_sections("trigger-api", typer.main.get_command(app)))


def updated(text: str) -> str:
    """A page with its generated parts written anew: what stands between two comments that name one of them."""
    for part in (settings, commands):
        begin, end = (f"<!-- {part.__name__}: {mark} -->" for mark in ("begin", "end"))
        if begin in text:
            before, rest = text.split(begin)
            text = f"{before}{begin}\n{part()}\n{end}{rest.split(end)[1]}"
    return text


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "CPU cores" if field.annotation is int else ""
    if field.default in (None, (), "", PydanticUndefined):
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _sections(name: str, command: Any) -> Iterator[str]:
    if subcommands := getattr(command, "commands", None):
        for each in subcommands.values():
            yield from _sections(f"{name} {each.name}", each)
        return
    table = "\n".join(["| argument or option | default | meaning |", "|---|---|---|", *_rows(command)])
    yield f"### {name.removeprefix('trigger-api ')}\n\n{_cell(command.help)}\n\n{table}"


def _rows(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.name in _HIDDEN:
            continue
        is_argument = parameter.param_type_name == "argument"
        names = parameter.name.upper() if is_argument else " ".join(parameter.opts + parameter.secondary_opts)
        yield f"| `{names}` | {_option_default(parameter)} | {_cell(parameter.help)} |"


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    return "" if parameter.default in (None, False, ()) else f"`{parameter.default}`"


def _cell(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").replace("``", "`").replace("|", "\\|").strip()


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        old = page.read_text(encoding="utf-8")
        if (new := updated(old)) != old:
            page.write_text(new, encoding="utf-8")
