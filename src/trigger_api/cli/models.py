"""``trigger-api models``, ``convert`` and ``export``: models on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from trigger_api.cli.console import ModelPaths, abort, checked, load_settings, stdout


def list_models(models: ModelPaths = None) -> None:
    """List the models that would be served. The first one of a task is its default."""
    from trigger_api.service import find_models  # slow to import

    table = Table("task", "name", "version", "parameters", "description")
    for version in checked(find_models, load_settings(models=models)):
        card = version.card
        table.add_row(card.task, card.name, card.version, str(card.parameters), card.description)
    stdout.print(table)


def convert(
    folder: Annotated[Path, typer.Argument(help="Model folder, or model file of the Coursera exercise.", exists=True)],
    out: Annotated[Path | None, typer.Option(help="Folder to write to; the model folder if not given.")] = None,
) -> None:
    """Convert a model to ONNX, so that it can be served without TensorFlow."""
    from trigger_api.repository import discover
    from trigger_api.runtimes import digest, onnx_export, openwakeword  # TensorFlow takes seconds to import

    for version in checked(discover, folder):
        card, path = version.card, version.path
        if openwakeword.is_named(path):
            typer.echo(f"{card.name} {card.version}: needs no conversion")
            continue
        target = out or (path if path.is_dir() else path.parent)
        checked(onnx_export.convert, path, card, digest(path), target)
        typer.echo(f"{card.name} {card.version}: {target / 'model.onnx'}")


def export(
    folder: Annotated[Path, typer.Argument(help="Model folder of a trigger word.", exists=True, file_okay=False)],
    kind: Annotated[Literal["openwakeword"], typer.Option("--format", help="Format of the file.")] = "openwakeword",
    out: Annotated[Path | None, typer.Option(help="File to write; NAME.onnx if not given.", dir_okay=False)] = None,
) -> None:
    """Export a trigger word that was trained here to a file for openWakeWord."""
    from trigger_api.repository import discover
    from trigger_api.runtimes import openwakeword_export

    versions = checked(discover, folder)
    if len(versions) > 1:
        abort(f"there are {len(versions)} models in {folder}: choose the folder of one")
    target = out or Path(f"{versions[0].card.name}.onnx")
    card = checked(openwakeword_export.export, versions[0].path, target)
    word = card.labels[0] if card.labels else card.name
    typer.echo(f"{target}: detects {word!r} at a threshold of {card.decision.threshold}")
