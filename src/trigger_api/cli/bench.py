"""``trigger-api bench``: a load test from the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from trigger_api.settings import ENV_PREFIX


def bench(
    url: Annotated[str, typer.Argument(help="Endpoint, such as http://127.0.0.1:8000/v1/trigger.")],
    file: Annotated[Path | None, typer.Option(help="File to upload.", exists=True, dir_okay=False)] = None,
    field: Annotated[str, typer.Option(help="Form field for the file.")] = "audio",
    body: Annotated[Path | None, typer.Option(help="JSON file to post instead.", exists=True, dir_okay=False)] = None,
    clients: Annotated[int, typer.Option(min=1, max=1_000, help="Closed loop: number of clients.")] = 8,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Open loop: requests per second, at random intervals.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Duration in seconds.")] = 10,
    deadline_ms: Annotated[float, typer.Option(min=0, help="Latency up to which an answer counts as goodput.")] = 1_000,
    token: Annotated[str | None, typer.Option(help="API token.", envvar=f"{ENV_PREFIX}TOKEN")] = None,
) -> None:
    """Put load on an endpoint, and print latency, throughput and errors as JSON."""
    from trigger_api.cli import load_test

    template = load_test.build_request(url, file=file, field_name=field, body=body, token=token)
    if rate:
        loop = load_test.open_loop(template, rate=rate, seconds=seconds)
    else:
        loop = load_test.closed_loop(template, clients=clients, seconds=seconds)
    typer.echo(json.dumps(asyncio.run(loop).summary(deadline_ms), indent=2))
