from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from helpers.live_server import Make, Server, answer, say, serve, server, silence, word

__all__ = ["serve", "server"]
Event = dict[str, str]


@asynccontextmanager
async def subscription(server: Server, query: str = "", **headers: str) -> AsyncIterator[AsyncIterator[Event]]:
    """The fields of each event, from the moment that the subscription is accepted."""
    url = f"/v1/trigger/events?{query}"
    async with server.http() as http, http.stream("GET", url, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        events = parse_events(response)
        assert (await anext(events))["retry"] == "2000"
        yield events


async def parse_events(response: httpx.Response) -> AsyncIterator[Event]:
    fields: Event = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif fields:
            yield fields
            fields = {}


async def next_data(events: AsyncIterator[Event]) -> dict[str, Any]:
    event = await asyncio.wait_for(anext(events), 10)
    data: dict[str, Any] = json.loads(event["data"])
    if event["event"] == "detection":
        assert event["id"] == data["id"]
    return data


async def detect(server: Server, room: str) -> None:
    async with server.stream(f"room={room}") as socket:
        await answer(socket)
        await say(socket, word())
        assert (await answer(socket))["type"] == "detection"


async def test_subscribers_get_events_of_every_room_or_of_one(server: Server) -> None:
    async with subscription(server) as every, subscription(server, "room=hall") as hall:
        for room in ("kitchen", "hall"):
            await detect(server, room)
        assert [(await next_data(every))["room"] for _ in range(2)] == ["kitchen", "hall"]
        event = await next_data(hall)
        assert event["room"] == "hall"
        assert event["time_ms"] == pytest.approx(810, abs=40)
        assert (event["word"], event["model"], event["version"]) == ("beep", "beep", "1")


async def test_a_subscriber_continues_after_its_last_event(server: Server) -> None:
    async with subscription(server) as events:
        for room in ("a", "b", "c"):
            await detect(server, room)
        first = await next_data(events)
    async with subscription(server, **{"Last-Event-ID": first["id"]}) as events:
        assert [(await next_data(events))["room"] for _ in range(2)] == ["b", "c"]


async def test_a_gap_is_announced(serve: Make) -> None:
    async with serve(events_kept=1) as server:
        async with subscription(server) as events:
            await detect(server, "a")
            first = await next_data(events)
        for room in ("b", "c"):
            await detect(server, room)
        async with subscription(server, **{"Last-Event-ID": first["id"]}) as events:
            assert await next_data(events) == {"after": first["id"]}
            assert (await next_data(events))["room"] == "c"


async def test_heartbeats(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.05)
    async with subscription(server) as events:
        assert (await asyncio.wait_for(anext(events), 5))[""] == "ping"


async def test_subscribers_are_limited_and_released(serve: Make) -> None:
    async with serve(max_subscribers=1) as server:
        async with subscription(server), server.http() as http:
            while server.service.rooms.events.subscribers < 1:
                await asyncio.sleep(0.01)
            refused = await http.get("/v1/trigger/events")
            assert refused.status_code == 503
            assert refused.headers["Retry-After"] == "10"
        while server.service.rooms.events.subscribers:
            await asyncio.sleep(0.01)


async def test_subscribers_do_not_delay_shutdown(serve: Make) -> None:
    async with serve() as server, subscription(server) as events:
        server.service.rooms.begin_shutdown()  # what SIGTERM does
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(events), 2)


async def test_rooms_with_live_streams_are_listed(server: Server) -> None:
    async with server.http() as http:
        assert (await http.get("/v1/rooms")).json() == []
        async with server.stream("room=kitchen&scores=true") as kitchen, server.stream("room=hall&rate=8000") as hall:
            await answer(kitchen)
            await answer(hall)
            await say(kitchen, word())
            while (await answer(kitchen)).get("time_ms", 0) < 1_440:
                pass
            first, second = (await http.get("/v1/rooms")).json()
            assert (first["room"], first["rate"], first["detections"]) == ("kitchen", 16_000, 1)
            assert first["heard_ms"] >= 1_440
            assert first["level_dbfs"] == pytest.approx(-60, abs=1)
            assert first["last_detection"]["room"] == "kitchen"
            assert (second["room"], second["rate"], second["level_dbfs"]) == ("hall", 8_000, None)
            assert second["last_detection"] is None
            assert first["since"] <= second["since"]
            await say(hall, silence(0.5, 8_000))
        while (await http.get("/v1/rooms")).json():
            await asyncio.sleep(0.01)
        metrics = (await http.get("/metrics")).text
        assert "trigger_api_streams 0.0" in metrics
        assert 'trigger_api_stream_detections_total{model="beep"} 1.0' in metrics
