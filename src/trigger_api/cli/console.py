"""What commands say on standard error, and how they end when something is the caller's to mend."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.markup import escape

from trigger_api.errors import format_validation_errors as faults_in_words
from trigger_api.settings import ENV_PREFIX, Settings

stderr = Console(stderr=True)

_EXTRAS = {
    "h5py": "tensorflow",
    "keras": "tensorflow",
    "keras_hub": "hub",
    "matplotlib": "train",
    "mtcnn": "train",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "pocketsphinx": "train",
    "psycopg": "postgres",
    "pycocotools": "evaluate",
    "safetensors": "train",
    "sounddevice": "listen",
    "tensorflow": "tensorflow",
    "tf2onnx": "onnx",
    "wyoming": "wyoming",
}


def abort(message: str) -> NoReturn:
    """Say what is wrong, and exit with 2."""
    # Escaped, or the console would take the name of an extra in brackets for a colour.
    stderr.print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(2)


@contextmanager
def cli_errors(*errors: type[Exception]) -> Iterator[None]:
    """Say errors of these kinds in their own words, and exit with 2."""
    try:
        yield
    except errors as error:
        abort(format_error(error))


def format_error(error: Exception) -> str:
    """What went wrong; of a package that is not there, what brings it."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    extra = _EXTRAS.get(package)
    return f"this needs the extra {extra!r}: pip install '.[{extra}]'" if extra else str(error)


def load_settings(**options: Any) -> Settings:
    """The environment's settings, with what was given on the command line instead."""
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except SettingsError as error:
        name = re.search(r'field "(\w+)"', str(error))
        abort(f"{_variable(name[1] if name else '')}: this is not valid JSON")
    except ValidationError as error:
        abort("; ".join(_fault(fault) for fault in error.errors()))


def _fault(fault: Mapping[str, Any]) -> str:
    name, *within = fault["loc"]
    return f"{_variable(name)}: {faults_in_words([{**fault, 'loc': within}])}"


def _variable(name: str) -> str:
    return f"{ENV_PREFIX}{name.upper()}"
