"""What was detected lately, in any room: a bounded log that many readers follow, each from where it wants."""

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
    """An id that no other node gives; later ones sort after earlier ones.

    Args:
        node: the process.
        now: seconds since 1970, if not this moment.
    """
    milliseconds = round((time.time() if now is None else now) * 1000)
    return f"{milliseconds:013d}-{next(_numbers) % 1_000_000:06d}-{node}"


def now() -> datetime:
    """The wall clock's time, UTC."""
    return datetime.now(UTC)


class EventLog:
    """The latest events.

    Readers hold a place in the log and no queue of their own, so one that is slow or gone costs nothing; it may miss
    what the log has forgotten, and is told so.

    Args:
        size: events kept.
    """

    def __init__(self, size: int) -> None:
        self.readers = 0
        self._events: deque[RoomEvent] = deque(maxlen=size)
        self._forgotten = new_id()  # whatever came before is not known here
        self._added = 0
        self._changed = asyncio.Event()
        self._closed = False

    def add(self, event: RoomEvent) -> None:
        """Append an event and wake the readers. One that came twice, for a database was lost, counts once."""
        if any(known.id == event.id for known in self._events):
            return
        if len(self._events) == self._events.maxlen:
            self._forgotten = self._events[0].id
        self._events.append(event)
        self._added += 1
        self._wake()

    def close(self) -> None:
        """Let every reader go."""
        self._closed = True
        self._wake()

    def missed_since(self, last: str) -> bool:
        """Whether events after this id may have been forgotten."""
        return last < self._forgotten and all(event.id != last for event in self._events)

    async def follow(self, room: str | None = None, after: str | None = None) -> AsyncIterator[RoomEvent]:
        """Events of a room, or of every one: those after an id that are still known, then new ones as they come."""
        place = self._added if after is None else self._place(after)
        self.readers += 1
        try:
            while not self._closed:
                changed, news, place = self._changed, self._since(place), self._added
                for event in news:
                    if room in (None, event.room):
                        yield event
                await changed.wait()
        finally:
            self.readers -= 1

    def _place(self, after: str) -> int:
        """The number of events up to this id; by its time if the log does not have it."""
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
