"""The command line: trigger-api serve, detect, listen, record, models, convert, export, bench, train, evaluate."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import uvicorn
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from trigger_api.cli import evaluate as evaluation
from trigger_api.cli import load_test as load
from trigger_api.cli import streaming as live
from trigger_api.cli import train as training
from trigger_api.cli.console import abort, cli_errors, load_settings, stderr
from trigger_api.errors import ServiceError
from trigger_api.observability import logs
from trigger_api.observability.metrics import MULTIPROC_DIR, Metrics
from trigger_api.registry import State
from trigger_api.repository import discover
from trigger_api.server.auth import is_loopback
from trigger_api.server.uvicorn_http import BoundedHttp
from trigger_api.server.uvicorn_websocket import QuietWebSocket
from trigger_api.service import Service, find_models
from trigger_api.settings import ENV_PREFIX, Settings
from trigger_api.tasks.trigger.task import Trigger, TriggerResult


class _Commands(TyperGroup):
    """Commands that say which extra brings a package that they miss, wherever they import it."""

    def invoke(self, ctx: Any) -> Any:
        with cli_errors(ModuleNotFoundError):
            return super().invoke(ctx)


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(training.app, name="train")
app.add_typer(evaluation.app, name="evaluate")
app.command()(live.listen)
app.command()(live.wyoming)
app.command()(training.record)
_out = Console(markup=False, emoji=False)  # names of files are told as they are: "[red]a.wav", ":cat:.wav"

_WORKER_PATIENCE_S = 120  # a worker that imports TensorFlow on a busy machine answers late

Models = Annotated[
    list[str] | None, typer.Option(metavar="PATH", help="Folder of further models, or a model file; may be repeated.")
]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; each holds its own models.")] = None,
    models: Models = None,
) -> None:
    """Serve over HTTP. Every option has an environment variable TRIGGER_API_*, and those have more."""
    settings = load_settings(host=host, port=port, workers=workers, models=models)
    if settings.auth != "open" and not settings.tokens and not is_loopback([settings.host]):
        abort(
            f"refusing to listen on {settings.host} without a token: "
            f"set {ENV_PREFIX}TOKENS, or {ENV_PREFIX}AUTH=open to let everybody in"
        )
    if settings.wyoming_uri and settings.workers > 1:
        abort(f"{ENV_PREFIX}WYOMING_URI is for one worker; beside more, run `trigger-api wyoming`")
    _import_extras(settings)
    _checked(find_models, settings)
    if settings.workers == 1:
        _run(settings)
        return
    with tempfile.TemporaryDirectory(prefix="trigger-api-") as counters:
        os.environ[MULTIPROC_DIR] = counters
        _run(settings)


@app.command()
def detect(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings: wav, flac, ogg or mp3.", exists=True, dir_okay=False)
    ],
    model: Annotated[str | None, typer.Option(help="A trigger model's name.")] = None,
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="Score from which a word counts.")] = None,
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file.")] = False,
) -> None:
    """Say whether the trigger word is in recordings, and when. Exits with 1 if one could not be read."""
    settings = load_settings(models=models, max_batch=1)
    logs.configure("error")  # what goes wrong is told in the command's own words
    results = asyncio.run(_detect(settings, files, model, threshold))
    if as_json:
        for path, result in results.items():
            typer.echo(json.dumps({"file": str(path), **_plain(result)}))
    else:
        _out.print(_table(results))
    if any(isinstance(result, ServiceError) for result in results.values()):
        raise typer.Exit(1)


@app.command()
def convert(
    folder: Annotated[Path, typer.Argument(help="Model folder, or file of the exercise.", exists=True)],
    out: Annotated[Path | None, typer.Option(help="Where to write; into the model folder if not given.")] = None,
) -> None:
    """Convert a model for ONNX Runtime: it then serves without TensorFlow."""
    from trigger_api.runtimes import digest, onnx_export, openwakeword  # TensorFlow takes seconds to import

    for entry in _checked(discover, folder):
        if openwakeword.is_named(entry.path):
            typer.echo(f"{entry.card.name} {entry.card.version}: is served as it is")
            continue
        target = out or (entry.path if entry.path.is_dir() else entry.path.parent)
        _checked(onnx_export.convert, entry.path, entry.card, digest(entry.path), target)
        typer.echo(f"{entry.card.name} {entry.card.version}: {target / 'model.onnx'}")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Model folder of a word.", exists=True, file_okay=False)],
    kind: Annotated[Literal["openwakeword"], typer.Option("--format", help="Whose file.")] = "openwakeword",
    out: Annotated[Path | None, typer.Option(help="File to write; NAME.onnx if not given.", dir_okay=False)] = None,
) -> None:
    """Write a word that was trained here as a file of openWakeWord's."""
    from trigger_api.runtimes import openwakeword_export

    entries = _checked(discover, folder)
    if len(entries) > 1:
        abort(f"there are {len(entries)} models in {folder}: name the folder of one")
    target = out or Path(f"{entries[0].card.name}.onnx")
    card = _checked(openwakeword_export.export, entries[0].path, target)
    typer.echo(f"{target}: {card.labels[0] if card.labels else card.name}, from a score of {card.decision.threshold}")


@app.command()
def bench(
    url: Annotated[str, typer.Argument(help="Endpoint, e.g. http://127.0.0.1:8000/v1/trigger.")],
    file: Annotated[Path | None, typer.Option(help="File to upload.", exists=True, dir_okay=False)] = None,
    field: Annotated[str, typer.Option(help="Form field of the file.")] = "audio",
    body: Annotated[Path | None, typer.Option(help="JSON file to post instead.", exists=True, dir_okay=False)] = None,
    clients: Annotated[int, typer.Option(min=1, max=1_000, help="Closed loop: clients.")] = 8,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Open loop: requests a second, at random.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long.")] = 10,
    deadline_ms: Annotated[float, typer.Option(min=0, help="An answer in time is goodput.")] = 1_000,
    token: Annotated[str | None, typer.Option(help="API token.", envvar=f"{ENV_PREFIX}TOKEN")] = None,
) -> None:
    """Put load on an endpoint and print latencies, throughput and errors as JSON."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if file:
        template = load.upload(url, field, file.name, file.read_bytes(), headers)
    elif body:
        template = load.RequestTemplate("POST", url, body.read_bytes(), {**headers, "Content-Type": "application/json"})
    else:
        template = load.RequestTemplate("GET", url, headers=headers)
    loop = (
        load.open_loop(template, rate=rate, seconds=seconds)
        if rate
        else load.closed_loop(template, clients=clients, seconds=seconds)
    )
    typer.echo(json.dumps(asyncio.run(loop).summary(deadline_ms), indent=2))


@app.command(name="models")
def list_models(models: Models = None) -> None:
    """List the models that would be served; a task's first is its default."""
    table = Table("task", "name", "version", "parameters", "about")
    for entry in _checked(find_models, load_settings(models=models)):
        card = entry.card
        table.add_row(card.task, card.name, card.version, str(card.parameters), card.description)
    _out.print(table)


async def _detect(
    settings: Settings, files: Iterable[Path], model: str | None, threshold: float | None
) -> dict[Path, TriggerResult | ServiceError]:
    service = _checked(Service, settings, Metrics())
    try:
        _load(service, model)
        return {path: await _hear(service, path.read_bytes(), model, threshold) for path in files}
    finally:
        await service.close()


def _load(service: Service, model: str | None) -> None:
    entry = _checked(service.registry.find, "trigger", model)
    with stderr.status("loading the model"):
        service.registry.load_with_backbone(entry)
    if entry.state is not State.READY:
        abort(f"{entry.card.name} cannot be loaded: {entry.reason}")


async def _hear(
    service: Service, data: bytes, model: str | None, threshold: float | None
) -> TriggerResult | ServiceError:
    try:
        (result,) = await service.task(Trigger).predict(data, model=model, threshold=threshold)
        return result
    except ServiceError as error:
        return error


def _plain(result: TriggerResult | ServiceError) -> dict[str, Any]:
    if isinstance(result, ServiceError):
        return {"error": result.detail}
    timestamps = [hit.time_ms for hit in result.detections]
    return {"detected": bool(timestamps), "timestamps": timestamps, **asdict(result)}


def _table(results: dict[Path, TriggerResult | ServiceError]) -> Table:
    table = Table("file", "detected", "at (ms)", "score")
    for path, result in results.items():
        if isinstance(result, ServiceError):
            table.add_row(str(path), "error", result.detail, "")
            continue
        hits = result.detections
        times, scores = ", ".join(str(hit.time_ms) for hit in hits), ", ".join(f"{hit.score:.3f}" for hit in hits)
        table.add_row(str(path), "yes" if hits else "no", times, scores)
    return table


def _import_extras(settings: Settings) -> None:
    """What is missing is told here: a worker could say it in a traceback only."""
    if settings.wyoming_uri:
        import_module("trigger_api.streaming.wyoming")
    if settings.database_url:
        import_module("trigger_api.streaming.postgres")


def _run(settings: Settings) -> None:
    # Workers are processes of their own: they read their settings from the environment.
    for name in ("host", "port", "workers"):
        os.environ[f"{ENV_PREFIX}{name.upper()}"] = str(getattr(settings, name))
    if settings.models:
        os.environ[f"{ENV_PREFIX}MODELS"] = os.pathsep.join(map(str, settings.models))
    uvicorn.run(
        "trigger_api.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=BoundedHttp,
        ws=QuietWebSocket,
        ws_max_size=settings.stream_frame_bytes,
        ws_per_message_deflate=False,  # audio does not shrink; the dictionaries would be each stream's largest part
        root_path=settings.root_path,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_s,
        timeout_worker_healthcheck=_WORKER_PATIENCE_S,
    )


def _checked(function: Any, *args: Any) -> Any:
    """Call something whose errors are the operator's to mend."""
    with cli_errors(ServiceError, ValueError):
        return function(*args)
