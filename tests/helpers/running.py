"""The application, running in this process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from trigger_api.server.uvicorn_http import BoundedHttp


@asynccontextmanager
async def started(
    app: FastAPI, *, ready: bool = True, host: str = "127.0.0.1", url: str = "http://localhost"
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the started application."""
    transport = httpx.ASGITransport(app, client=(host, 50_000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=url) as http,
    ):
        while ready and (await http.get("/health/ready")).status_code != 200:
            await asyncio.sleep(0.002)
        yield http


@contextmanager
def serving(app: FastAPI, patience_s: float = 10) -> Iterator[str]:
    """The application on a real socket: the clients under test bring their own HTTP."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, http=BoundedHttp))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        try:
            _await_ready(f"http://{address}/v2/health/ready", patience_s)
            yield address
        finally:
            server.should_exit = True
            thread.join(10)


def _await_ready(url: str, patience_s: float) -> None:
    give_up = time.monotonic() + patience_s
    while time.monotonic() < give_up:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    pytest.fail("not ready")
