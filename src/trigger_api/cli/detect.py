"""``trigger-api detect``: trigger words in recordings, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trigger_api.cli.console import ModelPaths, abort, checked, load_settings, stderr, stdout
from trigger_api.errors import ServiceError
from trigger_api.observability import logs
from trigger_api.observability.metrics import Metrics
from trigger_api.settings import Settings

if TYPE_CHECKING:
    from trigger_api.service import Service
    from trigger_api.tasks.trigger.task import TriggerResult


def detect(
    files: Annotated[list[Path], typer.Argument(help="Recordings of any common format.", exists=True, dir_okay=False)],
    model: Annotated[str | None, typer.Option(help="Name of a trigger model.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score from which a word counts as detected.")
    ] = None,
    models: ModelPaths = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per file.")] = False,
) -> None:
    """Detect the trigger word in recordings, and print when. Exits with 1 if a recording cannot be read."""
    settings = load_settings(models=models, max_batch=1)
    logs.configure("error")  # the command reports errors itself
    results = asyncio.run(_detect(settings, files, model, threshold))
    if as_json:
        for path, result in results.items():
            typer.echo(json.dumps({"file": str(path), **_as_dict(result)}))
    else:
        stdout.print(_table(results))
    if any(isinstance(result, ServiceError) for result in results.values()):
        raise typer.Exit(1)


async def _detect(
    settings: Settings, files: Iterable[Path], model: str | None, threshold: float | None
) -> dict[Path, TriggerResult | ServiceError]:
    from trigger_api.service import Service  # slow to import

    service: Service = checked(Service, settings, Metrics())
    try:
        _load(service, model)
        return {path: await _predict(service, path.read_bytes(), model, threshold) for path in files}
    finally:
        await service.close()


def _load(service: Service, model: str | None) -> None:
    version = checked(service.registry.find, "trigger", model)
    with stderr.status("loading the model"):
        service.registry.load_with_backbone(version)
    if version.model is None:
        abort(f"{version.card.name} cannot be loaded: {version.reason}")


async def _predict(
    service: Service, data: bytes, model: str | None, threshold: float | None
) -> TriggerResult | ServiceError:
    from trigger_api.tasks.trigger.task import Trigger

    try:
        (result,) = await service.task(Trigger).predict(data, model=model, threshold=threshold)
        return result
    except ServiceError as error:
        return error


def _as_dict(result: TriggerResult | ServiceError) -> dict[str, Any]:
    if isinstance(result, ServiceError):
        return {"error": result.detail}
    timestamps = [hit.time_ms for hit in result.detections]
    fields = asdict(replace(result, curve=None))
    del fields["curve"]
    return {"detected": bool(timestamps), "timestamps": timestamps, **fields}


def _table(results: dict[Path, TriggerResult | ServiceError]) -> Table:
    table = Table("file", "detected", "at (ms)", "score")
    for path, result in results.items():
        table.add_row(str(path), *_cells(result))
    return table


def _cells(result: TriggerResult | ServiceError) -> tuple[str, str, str]:
    if isinstance(result, ServiceError):
        return "error", result.detail, ""
    hits = result.detections
    times, scores = ", ".join(str(hit.time_ms) for hit in hits), ", ".join(f"{hit.score:.3f}" for hit in hits)
    found = ("yes" if hits else "no") + (" (truncated)" if result.truncated else "")
    return found, times, scores
