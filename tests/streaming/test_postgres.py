"""Two processes that share one PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from helpers.beep import BeepModel
from helpers.live_server import word
from helpers.postgresql import Cluster
from helpers.until import let_others_run, until
from trigger_api.observability.metrics import Metrics
from trigger_api.schemas import RoomEvent, StreamQuery
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.streaming.event_log import new_id, now
from trigger_api.streaming.postgres import PostgresPubSub


@asynccontextmanager
async def node(settings: Settings, url: str) -> AsyncIterator[Service]:
    changed = Settings(**{**settings.model_dump(exclude_unset=True), "database_url": url})
    made = Service(changed, Metrics(), loader=lambda path, card: BeepModel())
    made.registry.load_all()
    await made.rooms.start()
    pubsub = made.rooms._pubsub
    assert isinstance(pubsub, PostgresPubSub)
    async with asyncio.timeout(20):
        await pubsub._listening.wait()
    yield made
    await made.close()


@pytest.mark.slow
async def test_subscribers_get_the_events_of_other_nodes(settings: Settings, cluster: Cluster) -> None:
    async with node(settings, cluster.url()) as here, node(settings, cluster.url()) as there:
        subscribers = [asyncio.ensure_future(anext(one.rooms.events.subscribe("hall"))) for one in (here, there)]
        await let_others_run()
        async with here.rooms.open(StreamQuery(room="hall"), "test") as stream:
            stream.feed(word())
            events = [await asyncio.wait_for(subscriber, 10) for subscriber in subscribers]
            assert events[0] == events[1]
            await until(lambda: [room.room for room in there.rooms.rooms()] == ["hall"])
            (room,) = there.rooms.rooms()
            assert room.node == here.rooms.node != there.rooms.node
            assert room.since == stream.since
        assert here.rooms.rooms() == []


async def test_the_database_goes_away_and_comes_back(
    settings: Settings, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trigger_api.streaming.postgres._RECONNECT_S", 0.1)
    async with node(settings, cluster.url()) as here, node(settings, cluster.url()) as there:
        pubsub = here.rooms._pubsub
        assert isinstance(pubsub, PostgresPubSub)
        cluster.stop()
        await until(lambda: not pubsub._listening.is_set())
        published = asyncio.ensure_future(anext(here.rooms.events.subscribe()))
        await let_others_run()
        async with here.rooms.open(StreamQuery(room="hall"), "test") as stream:
            stream.feed(word())
            assert (await asyncio.wait_for(published, 10)).room == "hall"  # our own subscribers still get it
        cluster.start()
        await until(pubsub._listening.is_set)
        there_too = asyncio.ensure_future(anext(there.rooms.events.subscribe("bath")))
        await until(there.rooms._pubsub._listening.is_set)  # type: ignore[attr-defined]
        async with here.rooms.open(StreamQuery(room="bath"), "test") as stream:
            stream.feed(word())
            assert (await asyncio.wait_for(there_too, 10)).room == "bath"


async def test_messages_of_others_on_the_channel_are_passed_over(cluster: Cluster) -> None:
    import psycopg

    heard: list[object] = []
    pubsub = PostgresPubSub(cluster.url())
    await pubsub.start(heard.append)
    await pubsub._listening.wait()
    async with await psycopg.AsyncConnection.connect(cluster.url(), autocommit=True) as connection:
        await connection.execute("SELECT pg_notify('trigger_api_rooms', 'hello')")
        await connection.execute("SELECT pg_notify('trigger_api_rooms', '{\"kind\": \"new\"}')")
    event = RoomEvent(id=new_id(), at=now(), room="r", word="w", time_ms=1, score=1, model="m", version="1")
    from trigger_api.streaming.pubsub import Detected

    pubsub.publish(Detected(event=event))
    await until(lambda: bool(heard))
    assert heard == [Detected(event=event)]
    await pubsub.close()
