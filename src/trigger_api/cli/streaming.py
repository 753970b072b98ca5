"""``trigger-api listen``, ``record`` and ``wyoming``: live audio."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Annotated, Any

import soundfile
import typer
from websockets.exceptions import InvalidHandshake

from trigger_api.cli import audio_source
from trigger_api.cli.console import ModelPaths, abort, cli_errors, format_error, load_settings, print_line
from trigger_api.observability import logs
from trigger_api.observability.metrics import Metrics
from trigger_api.settings import Settings

_DEFAULT_RATE = 16_000


def listen(
    source: Annotated[str, typer.Argument(help="`mic`, a recording, or - for raw samples.")] = "mic",
    room: Annotated[str, typer.Option(help="Name of the room, shown to subscribers of events.")] = "room",
    url: Annotated[str, typer.Option(help="URL of the running server.")] = "http://127.0.0.1:8000",
    token: Annotated[str | None, typer.Option(envvar="TRIGGER_API_TOKEN", help="API token.")] = None,
    rate: Annotated[int, typer.Option(help="Sample rate of the microphone or the raw samples, Hz.")] = _DEFAULT_RATE,
    word: Annotated[
        list[str] | None, typer.Option(help="Word to listen for; may be repeated; * for all words.")
    ] = None,
    sensitivity: Annotated[str | None, typer.Option(help="low, medium or high.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score from which a word counts as detected.")
    ] = None,
    scores: Annotated[bool, typer.Option(help="Also print all scores.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's messages as JSON, one per line.")] = False,
) -> None:
    """Stream a microphone, a recording or standard input to a server, and print detections as they happen."""
    query = {"room": room, "word": word, "sensitivity": sensitivity, "threshold": threshold}
    if scores:
        query["scores"] = "true"
    try:
        failed = asyncio.run(_listen(source, rate, url, query, token, as_json))
    except KeyboardInterrupt:
        return
    except (OSError, ImportError, InvalidHandshake, soundfile.LibsndfileError, ValueError) as error:
        abort(format_error(error))
    if failed:
        raise typer.Exit(1)


def record(
    word: Annotated[str, typer.Option(help="The word or phrase to say.")],
    out: Annotated[Path, typer.Option(help="Folder of the recordings; existing ones are kept.", file_okay=False)],
    count: Annotated[int, typer.Option(min=1, max=1_000, help="How many to record.")] = 10,
) -> None:
    """Record a word from the microphone, to train it. Needs the extra ``listen``."""
    from trigger_api.cli.recorder import record as collect
    from trigger_api.datasets.phrases import checked
    from trigger_api.datasets.speech import RATE

    with cli_errors(ImportError, OSError, ValueError):
        phrase = checked(word)
        audio_source.microphone(RATE)  # if there is none, say so at once
        collect(phrase, out, count, lambda: audio_source.microphone(RATE), print_line)
    print_line(f"{out}: train with: trigger-api train trigger --word {word!r} --recordings {out}")


def wyoming(
    uri: Annotated[
        str, typer.Option(help="Address to listen on: tcp://host:port or unix:///path.")
    ] = "tcp://0.0.0.0:10400",
    models: ModelPaths = None,
) -> None:
    """Serve Home Assistant's Wyoming protocol to clients with private addresses. Needs the extra wyoming."""
    settings = load_settings(models=models)
    if settings.auth == "required":
        abort("Wyoming has no tokens, and TRIGGER_API_AUTH=required wants one of everybody")
    logs.configure(settings.log_level)
    with cli_errors(OSError, ImportError, ValueError):
        asyncio.run(_serve(settings, uri))


async def _listen(source: str, rate: int, url: str, query: dict[str, Any], token: str | None, as_json: bool) -> bool:
    rate, audio = await _open(source, rate)
    failed = False
    async for message in audio_source.stream_audio(url, audio, {**query, "rate": rate}, token):
        failed = failed or message["type"] == "error"
        typer.echo(json.dumps(message) if as_json else _line(message), err=message["type"] == "error" and not as_json)
    return failed


async def _open(source: str, rate: int) -> tuple[int, audio_source.Audio]:
    """The audio of a source and its sample rate, which is ``rate`` unless a recording has its own."""
    if source == "mic":
        return rate, audio_source.microphone(rate)
    if source == "-":
        return rate, audio_source.pcm_stream(audio_source.stdin(), rate)
    return await audio_source.play_file(Path(source))


def _line(message: dict[str, Any]) -> str:
    seconds = message.get("time_ms", 0) / 1000
    match message["type"]:
        case "ready":
            words = ", ".join(f"{each['word']!r} (threshold {each['threshold']:g})" for each in message["words"])
            return f"listening for {words} in {message['room']}"
        case "detection":
            return f"{seconds:8.2f} s  {message['word']}  {message['score']:.3f}"
        case "score":
            return f"{seconds:8.2f} s  {message['score']:.3f}  {message['level_dbfs']:6.1f} dBFS  {message['word']}"
        case "stopped":
            return f"{message['heard_ms'] / 1000:8.2f} s  end: {message['detections']} detected"
        case _:
            return f"error: {message.get('detail', message)}"


async def _serve(settings: Settings, uri: str) -> None:
    from trigger_api.service import Service  # slow to import
    from trigger_api.streaming.wyoming import serving

    service, stopped = Service(settings, Metrics()), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        await service.rooms.start()
        async with serving(uri, service.rooms, settings):  # until the models are loaded, streams get an error
            await asyncio.to_thread(service.registry.load_all)
            await stopped.wait()
    finally:
        await service.close()
