"""``trigger-api evaluate ...``: one command a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trigger_api.registry import BUNDLED

app = typer.Typer(no_args_is_help=True, help="Measure a model, through the path that serves it.")
_err = Console(stderr=True)

_ACTIVATE = BUNDLED / "trigger" / "activate" / "1"


@app.command()
def trigger(
    positives: Annotated[list[Path], typer.Option(help="Recordings that say the word once each.", exists=True)],
    negatives: Annotated[list[Path], typer.Option(help="Recordings that never say it.", exists=True)],
    model: Annotated[Path, typer.Option(help="Model folder.", exists=True, file_okay=False)] = _ACTIVATE,
    out: Annotated[Path | None, typer.Option(help="Folder for JSON, markdown and the curve.")] = None,
    noise: Annotated[list[Path] | None, typer.Option(help="Noise to mix in.", exists=True)] = None,
    snr: Annotated[float, typer.Option(help="Speech over noise, dB.")] = 10.0,
    reverb: Annotated[bool, typer.Option(help="Put every recording into a room.")] = False,
    seed: Annotated[int, typer.Option(help="Which noise and which room.")] = 0,
) -> None:
    """Measure misses and false accepts of a trigger word as it would hear a live stream."""
    from trigger_api.evaluation.report import evaluate_trigger  # matplotlib takes a second to import

    try:
        figures = evaluate_trigger(
            model, positives, negatives, out, noise=tuple(noise or ()), snr_db=snr, reverb=reverb, seed=seed
        )
    except (OSError, ValueError) as error:
        _err.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    typer.echo(json.dumps(figures, indent=2))
