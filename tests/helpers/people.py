"""People with accounts: each has a browser or another client of one application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from helpers.beep import BeepModel
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.settings import Settings

PASSWORD = "correct horse"
URL = "https://service.example"


def accounts_app(settings: Settings, database_url: str, **changes: Any) -> FastAPI:
    """An application with accounts, in which everybody needs one and may make one."""
    values = {"database_url": database_url, "auth": "required", "sign_up": "open", **changes}
    made = Settings(**{**settings.model_dump(exclude_unset=True), **values})
    return create_app(made, loader=lambda path, card: BeepModel())


@asynccontextmanager
async def running(app: FastAPI, *, host: str = "203.0.113.7", url: str = URL) -> AsyncIterator[httpx.AsyncClient]:
    """The application, and a client on another machine that is not logged in."""
    async with started(app, host=host, url=url) as client:
        yield client


def another(client: httpx.AsyncClient, *, host: str = "203.0.113.8") -> httpx.AsyncClient:
    """Another client of the same application, with cookies of its own."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    return httpx.AsyncClient(transport=httpx.ASGITransport(transport.app, client=(host, 1)), base_url=client.base_url)


async def join(client: httpx.AsyncClient, name: str = "ada") -> httpx.AsyncClient:
    """Make an account and log in."""
    async with asyncio.timeout(30):  # on a machine under load, the database may still be being opened
        while (made := await client.post("/v1/accounts", json={"name": name, "password": PASSWORD})).status_code == 503:
            await asyncio.sleep(0.01)
    assert made.status_code == 201, made.text
    await log_in(client, name)
    return client


async def log_in(client: httpx.AsyncClient, name: str = "ada", password: str = PASSWORD) -> httpx.Response:
    """Log in."""
    answer = await client.post("/v1/sessions", json={"name": name, "password": password})
    assert answer.status_code == 201, answer.text
    return answer


async def token_of(client: httpx.AsyncClient, *scopes: str, **more: Any) -> dict[str, Any]:
    """A new API token of somebody who is logged in."""
    answer = await client.post("/v1/tokens", json={"name": "script", "scopes": scopes or ("predict",), **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made
