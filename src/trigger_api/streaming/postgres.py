"""News between processes and machines through PostgreSQL's LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection
from pydantic import ValidationError

from trigger_api.streaming.pubsub import MESSAGES, Deliver, Detected, PresenceUpdate

CHANNEL = "trigger_api_rooms"
_WAITING = 10_000  # news that wait while the database is away; then the oldest go
_AGAIN_S = 2.0
_ALIVE: dict[str, Any] = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}  # or a lost host goes unnoticed
Work = Callable[[AsyncConnection], Awaitable[None]]
_log = structlog.get_logger(__name__)


class PostgresPubSub:
    """Every process listens to one channel, and hears its own news there too: the database's order is everybody's.

    While the database is away, a process still tells its own followers what its own rooms say.

    Args:
        url: of the database, as libpq takes it.
    """

    alone = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._deliver: Deliver = lambda news: None
        self._waiting: deque[Detected | PresenceUpdate] = deque(maxlen=_WAITING)
        self._some = asyncio.Event()
        self._listening = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, deliver: Deliver) -> None:
        """Begin to listen, and to deliver what is heard."""
        self._deliver = deliver
        self._tasks = [asyncio.create_task(self._keep(work)) for work in (self._listen, self._send)]

    def publish(self, news: Detected | PresenceUpdate) -> None:
        """Tell every process, soon."""
        if self._listening.is_set():
            self._waiting.append(news)
            self._some.set()
        else:
            self._deliver(news)

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, work: Work) -> None:
        """Do it again whenever the database went away."""
        while True:
            try:
                async with await AsyncConnection.connect(self._url, autocommit=True, **_ALIVE) as connection:
                    await work(connection)
            except (psycopg.Error, OSError) as error:
                # What libpq says may hold the address: the kind of error is enough.
                _log.warning("rooms hear of no other process: no database", error=type(error).__name__)
            await asyncio.sleep(_AGAIN_S)

    async def _listen(self, connection: AsyncConnection) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        self._listening.set()
        try:
            async for notice in connection.notifies():
                with suppress(ValidationError):  # of another version, or somebody else's
                    self._deliver(MESSAGES.validate_json(notice.payload))
        finally:
            self._listening.clear()

    async def _send(self, connection: AsyncConnection) -> None:
        while True:
            await self._some.wait()
            while self._waiting:
                await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self._waiting[0].model_dump_json()))
                self._waiting.popleft()
            self._some.clear()
