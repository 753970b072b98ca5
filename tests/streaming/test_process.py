"""Live streams and the server as a process: its end, and its memory."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
import websockets

from helpers.live_server import answer, everything, say, silence
from helpers.memory import resident_mib
from test_process import serving

pytestmark = pytest.mark.slow

Running = tuple[subprocess.Popen[bytes], httpx.Client]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    limits = {"TRIGGER_API_MAX_STREAMS_PER_CALLER": "2000", "TRIGGER_API_MAX_STREAMS": "2000"}
    with serving(TRIGGER_API_DRAIN_S="600", **limits) as running:
        yield running


def url(client: httpx.Client, query: str = "") -> str:
    return f"ws://{client.base_url.host}:{client.base_url.port}/v1/trigger/stream?{query}"


async def room(client: httpx.Client, *, seconds: float, query: str = "") -> None:
    """Stream silence in real time."""
    async with websockets.connect(url(client, query), compression=None) as socket:
        assert (await answer(socket))["type"] == "ready"
        for _ in range(round(seconds / 0.08)):
            await socket.send(silence(0.08))
            await asyncio.sleep(0.08)
        await socket.send('{"type": "stop"}')
        assert [message["type"] for message in await everything(socket)] == ["stopped"]


async def test_sixty_four_rooms_take_little_more_memory_than_one(server: Running) -> None:
    process, client = server
    await room(client, seconds=2)
    one = resident_mib(process.pid)
    many = asyncio.gather(*(room(client, seconds=4, query=f"room=r{n}") for n in range(64)))
    await asyncio.sleep(3)
    among = resident_mib(process.pid)
    await many
    assert among - one < 64


async def test_memory_returns_after_drops_and_great_frames(server: Running) -> None:
    process, client = server

    async def rude(number: int) -> None:
        async with websockets.connect(url(client), compression=None) as socket:
            await answer(socket)
            await say(socket, silence(1)[:-1] if number % 2 else bytes(300_000), frame=400_000)

    sizes = []
    for _ in range(6):
        for _ in range(5):
            await asyncio.gather(*(rude(number) for number in range(50)), return_exceptions=True)
        sizes.append(resident_mib(process.pid))
    assert sizes[-1] - sizes[1] < 24  # in the first two, the most was held at once that ever will be
    give_up = time.monotonic() + 10
    while client.get("/v1/rooms").json() and time.monotonic() < give_up:
        await asyncio.sleep(0.1)
    assert client.get("/v1/rooms").json() == []


async def test_the_end_closes_streams_with_1012(server: Running) -> None:
    process, client = server
    async with (
        httpx.AsyncClient(base_url=client.base_url) as other,
        other.stream("GET", "/v1/trigger/events") as events,
    ):
        assert events.status_code == 200
        async with websockets.connect(url(client), compression=None) as socket:
            await answer(socket)
            await say(socket, silence(1))
            process.send_signal(signal.SIGTERM)
            await everything(socket)
            assert socket.close_code == 1012
        # A small part of what it may take for accepted requests: neither streams nor subscribers delay it.
        await asyncio.to_thread(process.wait, 60)
