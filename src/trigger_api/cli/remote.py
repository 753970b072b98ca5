"""What the commands share that talk to a running service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from trigger_api.cli.console import abort
from trigger_api.settings import ENV_PREFIX

if TYPE_CHECKING:
    from trigger_api.client import Client

Url = Annotated[str, typer.Option(help="Address of the service.", envvar=f"{ENV_PREFIX}URL")]
Token = Annotated[str | None, typer.Option(help="API token.", envvar=f"{ENV_PREFIX}TOKEN")]
LOCAL = "http://127.0.0.1:8000"


@contextmanager
def connected(url: str, token: str | None) -> Iterator[Client]:
    """A client of the service, whose errors are reported."""
    from trigger_api.client import Client, ClientError  # slow to import

    try:
        with Client(url, token=token) as client:
            yield client
    except ClientError as error:
        abort(str(error))
