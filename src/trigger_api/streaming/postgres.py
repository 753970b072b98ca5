"""Messages between processes and machines through PostgreSQL's LISTEN and NOTIFY."""

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

from trigger_api.streaming.pubsub import MESSAGES, Message, MessageHandler

CHANNEL = "trigger_api_rooms"
_MAX_WAITING = 10_000  # unsent messages; beyond that the oldest are dropped
_RECONNECT_S = 2.0
# Without these, the loss of the database's host would go unnoticed.
_KEEPALIVE: dict[str, Any] = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
Work = Callable[[AsyncConnection], Awaitable[None]]
_log = structlog.get_logger(__name__)


class PostgresPubSub:
    """One channel of the database. A process receives its own messages there too, so that all see the same order.

    While the database is unreachable, a process delivers its own messages to its own subscribers.

    Args:
        url: the database, as libpq takes it.
    """

    local = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._on_message: MessageHandler = lambda message: None
        self._waiting: deque[Message] = deque(maxlen=_MAX_WAITING)
        self._has_messages = asyncio.Event()
        self._listening = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, on_message: MessageHandler) -> None:
        """Connect, and call ``on_message`` from now on."""
        self._on_message = on_message
        self._tasks = [asyncio.create_task(self._run_forever(work)) for work in (self._listen, self._send)]

    def publish(self, message: Message) -> None:
        """Queue a message for every process."""
        if self._listening.is_set():
            self._waiting.append(message)
            self._has_messages.set()
        else:
            self._on_message(message)

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run_forever(self, work: Work) -> None:
        """Run ``work``, and reconnect whenever the connection is lost."""
        while True:
            try:
                async with await AsyncConnection.connect(self._url, autocommit=True, **_KEEPALIVE) as connection:
                    await work(connection)
            except (psycopg.Error, OSError) as error:
                # Without the error's message, which may contain the URL.
                _log.warning("database unreachable: no events from other processes", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_S)

    async def _listen(self, connection: AsyncConnection) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        self._listening.set()
        try:
            async for notice in connection.notifies():
                with suppress(ValidationError):  # from another version, or another application
                    self._on_message(MESSAGES.validate_json(notice.payload))
        finally:
            self._listening.clear()

    async def _send(self, connection: AsyncConnection) -> None:
        while True:
            await self._has_messages.wait()
            while self._waiting:
                await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self._waiting[0].model_dump_json()))
                self._waiting.popleft()
            self._has_messages.clear()
