from __future__ import annotations

import asyncio
from itertools import pairwise

from helpers.until import let_others_run
from trigger_api.schemas import RoomEvent
from trigger_api.streaming.event_log import EventLog, new_id, now


def event(room: str = "kitchen", given: str | None = None) -> RoomEvent:
    return RoomEvent(id=given or new_id(), at=now(), room=room, word="w", time_ms=1, score=0.5, model="m", version="1")


async def collect(log: EventLog, *later: RoomEvent, **options: str) -> list[RoomEvent]:
    """Everything that a subscriber gets: events in the log, then those that are added ``later``."""

    async def subscribe() -> list[RoomEvent]:
        return [event async for event in log.subscribe(**options)]

    subscriber = asyncio.create_task(subscribe())
    await let_others_run()
    for one in later:
        log.add(one)
    await let_others_run()
    log.close()
    return await subscriber


def test_ids_sort_by_time() -> None:
    assert all(a < b for a, b in pairwise([new_id() for _ in range(1000)]))


async def test_a_subscriber_gets_later_events_only() -> None:
    log = EventLog(10)
    log.add(event())
    later = event()
    assert await collect(log, later) == [later]
    assert log.subscribers == 0


async def test_a_subscriber_continues_after_an_event() -> None:
    log = EventLog(10)
    events = [event() for _ in range(5)]
    for one in events:
        log.add(one)
    assert await collect(log, after=events[1].id) == events[2:]


async def test_an_id_that_another_node_knew_is_found_by_its_time() -> None:
    log = EventLog(10)
    old, young = event(given=new_id(now=1000.0)), event(given=new_id(now=3000.0))
    log.add(old)
    log.add(young)
    assert await collect(log, after=new_id(now=2000.0)) == [young]


async def test_missed_events_are_known() -> None:
    log = EventLog(2)
    before = new_id(now=1.0)
    assert log.missed_since(before)  # nobody knows what was before this process
    events = [event() for _ in range(4)]
    for one in events:
        log.add(one)
    assert log.missed_since(events[0].id)
    assert not log.missed_since(events[1].id)
    assert not log.missed_since(events[2].id)
    assert not log.missed_since(events[3].id)
    assert await collect(log, after=events[0].id) == events[2:]


async def test_a_repeated_event_is_ignored() -> None:
    log = EventLog(10)
    before, twice = new_id(), event()
    log.add(twice)
    log.add(twice)
    assert await collect(log, after=before) == [twice]


async def test_one_room_only() -> None:
    log = EventLog(10)
    first = event()
    for one in (first, event("hall"), mine := event("bath")):
        log.add(one)
    assert await collect(log, room="bath", after=first.id) == [mine]


async def test_a_slow_subscriber_misses_only_events_that_left_the_log() -> None:
    log = EventLog(3)
    reader = log.subscribe()
    first = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    events = [event() for _ in range(10)]
    log.add(events[0])
    assert await first == events[0]
    for one in events[1:]:
        log.add(one)
    assert [await anext(reader) for _ in range(3)] == events[7:]
    await reader.aclose()  # type: ignore[attr-defined]
