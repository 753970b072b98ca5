"""A real server in the test's own event loop, and a real client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
import websockets
from fastapi import FastAPI
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from helpers.beep import BeepModel, beeps
from trigger_api.app import create_app
from trigger_api.server.uvicorn_websocket import QuietWebSocket
from trigger_api.service import Service
from trigger_api.settings import Settings


def pcm(samples: NDArray[np.float32]) -> bytes:
    return (samples * 32767).round().astype("<i2").tobytes()


def word(seconds: float = 1.5, *, rate: int = 16_000) -> bytes:
    """Audio with a beep that ends half a second before it does."""
    return pcm(beeps([seconds - 0.5], seconds=seconds, rate=rate))


def silence(seconds: float, rate: int = 16_000) -> bytes:
    return bytes(2 * round(seconds * rate))


class Server:
    """A running application."""

    def __init__(self, app: FastAPI, port: int) -> None:
        self.app = app
        self.port = port

    @property
    def service(self) -> Service:
        service: Service = self.app.state.service
        return service

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    def stream(self, query: str = "", **options: Any) -> websockets.connect:
        url = f"ws://127.0.0.1:{self.port}/v1/trigger/stream?{query}"
        return websockets.connect(url, compression=None, **options)


@asynccontextmanager
async def running(app: FastAPI, **options: Any) -> AsyncIterator[Server]:
    config = uvicorn.Config(
        app, port=0, log_config=None, ws=QuietWebSocket, ws_per_message_deflate=False,
        timeout_graceful_shutdown=5, **{"ws_max_size": 2**18, **options},
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    ours = Server(app, server.servers[0].sockets[0].getsockname()[1])
    while not ours.service.registry.ready:
        await asyncio.sleep(0.01)
    try:
        yield ours
    finally:
        server.should_exit = True
        ours.service.rooms.begin_shutdown()
        await serving


Make = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
def serve(settings: Settings, network: BeepModel) -> Make:
    """Starts a server; keywords are settings."""

    def make(**changes: Any) -> AbstractAsyncContextManager[Server]:
        changed = Settings(**{"log_level": "warning", **settings.model_dump(exclude_unset=True), **changes})
        return running(create_app(changed, loader=lambda path, card: network))

    return make


@pytest.fixture
async def server(serve: Make) -> AsyncIterator[Server]:
    async with serve() as made:
        yield made


async def answer(socket: ClientConnection) -> dict[str, Any]:
    """The next message."""
    async with asyncio.timeout(10):
        message: dict[str, Any] = json.loads(await socket.recv())
    return message


async def everything(socket: ClientConnection) -> list[dict[str, Any]]:
    """All messages until the server closes."""
    messages = []
    with suppress(ConnectionClosed):
        async with asyncio.timeout(10):
            async for message in socket:
                messages.append(json.loads(message))  # noqa: PERF401 - what came before the close counts
    return messages


async def say(socket: ClientConnection, audio: bytes, *, frame: int = 2560) -> None:
    """Send audio in frames, as fast as they go."""
    for start in range(0, len(audio), frame):
        await socket.send(audio[start : start + frame])


async def stop(socket: ClientConnection) -> list[dict[str, Any]]:
    """End the audio, and return the remaining messages."""
    await socket.send('{"type": "stop"}')
    return await everything(socket)
