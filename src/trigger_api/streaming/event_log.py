"""The latest detections of all rooms: a bounded log with any number of subscribers, each at its own position."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count

from trigger_api.schemas import RoomEvent

_numbers = count(1)


def new_id(node: str = "", now: float | None = None) -> str:
    """A unique id; later ids sort after earlier ones.

    Args:
        node: the process; makes the id unique among nodes.
        now: seconds since 1970; the current time if not given.
    """
    milliseconds = round((time.time() if now is None else now) * 1000)
    return f"{milliseconds:013d}-{next(_numbers) % 1_000_000:06d}-{node}"


def now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)


class EventLog:
    """The latest events.

    Subscribers have a position in the log but no queue of their own, so that slow ones cost nothing. They may miss
    events that the log no longer holds; ``missed_since`` tells.

    Args:
        size: number of events that the log holds.
    """

    def __init__(self, size: int) -> None:
        self.subscribers = 0
        self._events: deque[RoomEvent] = deque(maxlen=size)
        self._forgotten = new_id()  # events before this process started are unknown
        self._added = 0
        self._changed = asyncio.Event()
        self._closed = False

    def add(self, event: RoomEvent) -> None:
        """Append an event and wake the subscribers. An event that is delivered again after a reconnect is ignored."""
        if any(known.id == event.id for known in self._events):
            return
        if len(self._events) == self._events.maxlen:
            self._forgotten = self._events[0].id
        self._events.append(event)
        self._added += 1
        self._wake()

    def close(self) -> None:
        """End every subscription."""
        self._closed = True
        self._wake()

    def missed_since(self, last: str) -> bool:
        """Whether events after this id may no longer be in the log."""
        return last < self._forgotten and all(event.id != last for event in self._events)

    async def subscribe(self, room: str | None = None, after: str | None = None) -> AsyncIterator[RoomEvent]:
        """Yield the events of one room or of all: those after an id that the log still holds, then new ones."""
        place = self._added if after is None else self._place(after)
        self.subscribers += 1
        try:
            while not self._closed:
                changed, events, place = self._changed, self._since(place), self._added
                for event in events:
                    if room in (None, event.room):
                        yield event
                await changed.wait()
        finally:
            self.subscribers -= 1

    def _place(self, after: str) -> int:
        """The number of events up to this id, judged by its time if the log does not hold it."""
        first = self._added - len(self._events)
        for number, event in enumerate(self._events, first + 1):
            if event.id == after:
                return number
        return first + sum(event.id < after for event in self._events)

    def _since(self, place: int) -> list[RoomEvent]:
        return list(self._events)[max(0, len(self._events) - (self._added - place)) :]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
