"""What commands share: output, settings, and errors as one sentence with exit code 2."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.markup import escape

from trigger_api.errors import ServiceError, format_validation_errors
from trigger_api.settings import ENV_PREFIX, Settings

stderr = Console(stderr=True)
stdout = Console(markup=False, emoji=False)  # prints file names such as "[red]a.wav" or ":cat:.wav" unchanged

ModelPaths = Annotated[
    list[str] | None, typer.Option(metavar="PATH", help="Folder of models, or a model file; may be repeated.")
]

_EXTRAS = {
    "grpc": "grpc",
    "grpc_health": "grpc",
    "grpc_reflection": "grpc",
    "h5py": "onnx",
    "keras": "tensorflow",
    "keras_hub": "hub",
    "matplotlib": "train",
    "mtcnn": "train",
    "onnx": "convert",
    "onnxruntime": "onnx",
    "opentelemetry": "otel",
    "pocketsphinx": "train",
    "psycopg": "postgres",
    "pycocotools": "evaluate",
    "ray": "ray",
    "redis": "redis",
    "safetensors": "train",
    "sounddevice": "listen",
    "tensorflow": "tensorflow",
    "tf2onnx": "convert",
    "tritonclient": "grpc",
    "wyoming": "wyoming",
}


def abort(message: str) -> NoReturn:
    """Print an error message, and exit with 2."""
    # Escaped, since rich would take the brackets of an extra for markup.
    stderr.print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(2)


def print_line(line: str) -> None:
    """Print a line on standard error as it is: the console would take brackets in a file name for markup."""
    stderr.print(escape(line), highlight=False)


@contextmanager
def cli_errors(*errors: type[Exception]) -> Iterator[None]:
    """Report exceptions of these types as an error message, and exit with 2."""
    try:
        yield
    except errors as error:
        abort(format_error(error))


def checked(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function whose errors the operator can correct."""
    with cli_errors(ServiceError, ValueError):
        return function(*args)


def format_error(error: Exception) -> str:
    """The error as text; for a missing package, how to install it."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    extra = _EXTRAS.get(package)
    return f"this needs the extra {extra!r}: pip install '.[{extra}]'" if extra else str(error)


def load_settings(**options: Any) -> Settings:
    """The settings of the environment, overridden by the options that are not None."""
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except SettingsError as error:
        name = re.search(r'field "(\w+)"', str(error))
        abort(f"{_variable(name[1] if name else '')}: this is not valid JSON")
    except ValidationError as error:
        abort("; ".join(_format_setting(fault) for fault in error.errors()))


def _format_setting(fault: Mapping[str, Any]) -> str:
    name, *within = fault["loc"]
    return f"{_variable(name)}: {format_validation_errors([{**fault, 'loc': within}])}"


def _variable(name: str) -> str:
    return f"{ENV_PREFIX}{name.upper()}"
