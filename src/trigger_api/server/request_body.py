"""Request bodies that are still arriving: each has a deadline, and none delays the server's shutdown."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

_SHUTDOWN_TIMEOUT_S = 1.0  # enough for a body that has nearly arrived


class RequestBodies:
    """All bodies that are still arriving, the oldest first. They share one timer, so that a request needs none."""

    def __init__(self, timeout_s: float) -> None:
        self.closing = False
        self._timeout_s = timeout_s
        self._deadlines: dict[RequestBody, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin_shutdown(self) -> None:
        """Shorten every deadline: the server would wait for these requests before it stops."""
        self.closing = True
        self._timeout_s = min(self._timeout_s, _SHUTDOWN_TIMEOUT_S)
        if self._timer is not None:
            self._timer.cancel()
        latest = asyncio.get_running_loop().time() + self._timeout_s
        self._deadlines = {body: min(deadline, latest) for body, deadline in self._deadlines.items()}
        self._expire_late()

    def error(self) -> HTTPException:
        """The answer to a body that is late. Its connection closes, since the rest of the body will not be read."""
        if self.closing:
            headers = {"Connection": "close", "Retry-After": "1"}
            return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the server is shutting down", headers)
        detail = f"the request body did not arrive within {self._timeout_s:g} s"
        return HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, {"Connection": "close"})

    def add(self, body: RequestBody) -> None:
        """Start the clock of a body."""
        loop = asyncio.get_running_loop()
        self._deadlines[body] = loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s, self._expire_late)

    def remove(self, body: RequestBody) -> None:
        """Stop the clock of a body: it is complete, or no longer wanted."""
        self._deadlines.pop(body, None)

    def _expire_late(self) -> None:
        """Expire what is late, and set the timer for the next deadline."""
        loop, self._timer = asyncio.get_running_loop(), None
        now = loop.time()
        while self._deadlines:
            body, deadline = next(iter(self._deadlines.items()))
            if deadline > now:
                self._timer = loop.call_at(deadline, self._expire_late)
                return
            del self._deadlines[body]
            body.expire()


class RequestBody:
    """The body of one request, read through ``receive``."""

    def __init__(self, receive: Receive, bodies: RequestBodies) -> None:
        self._receive = receive
        self._bodies = bodies
        self._request = asyncio.current_task()
        self._started = self._complete = self._waiting = self._late = False

    async def receive(self) -> Message:
        """Receive the next ASGI message.

        Raises:
            HTTPException: the body did not arrive in time.
        """
        # Another task may read too: it waits for the client to disconnect, for which there is no deadline.
        if self._complete or asyncio.current_task() is not self._request:
            return await self._receive()
        if not self._started:
            self._started = True
            self._bodies.add(self)
        message = await self._receive_in_time()
        if not message.get("more_body"):
            self._complete = True
            self._bodies.remove(self)
        return message

    def expire(self) -> None:
        """Interrupt a ``receive`` that is waiting; every later one fails at once."""
        self._late = True
        if self._waiting and self._request is not None:
            self._request.cancel()

    async def _receive_in_time(self) -> Message:
        if self._late:
            raise self._bodies.error()
        self._waiting = True
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if not self._late or self._request is None or self._request.uncancel():  # somebody else cancelled it too
                raise
            raise self._bodies.error() from None
        finally:
            self._waiting = False
