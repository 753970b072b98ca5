"""What commands say on standard error, and how they end when something is the caller's to mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console

err = Console(stderr=True)

_EXTRAS = {
    "matplotlib": "train",
    "mtcnn": "train",
    "pocketsphinx": "train",
    "pycocotools": "evaluate",
    "sounddevice": "listen",
    "tensorflow": "tensorflow",
    "wyoming": "wyoming",
}


def fail(message: str) -> NoReturn:
    """Say what is wrong, and exit with 2."""
    err.print(f"[red]error:[/red] {message}", highlight=False, soft_wrap=True)
    raise typer.Exit(2)


@contextmanager
def told(*errors: type[Exception]) -> Iterator[None]:
    """Say errors of these kinds in their own words, and exit with 2."""
    try:
        yield
    except errors as error:
        fail(in_words(error))


def in_words(error: Exception) -> str:
    """What went wrong; of a package that is not there, what brings it."""
    extra = _EXTRAS.get(error.name or "") if isinstance(error, ModuleNotFoundError) else None
    return f"this needs the extra {extra!r}: pip install '.[{extra}]'" if extra else str(error)
