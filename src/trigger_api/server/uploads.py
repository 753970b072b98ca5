"""Bodies that are still on their way: each has to be here in time, and none holds up the server's end."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

_PARTING_S = 1.0  # for a body that is nearly here when the server is told to end


class Uploads:
    """All bodies that are awaited, the oldest first: they share one timer, so that a request costs none."""

    def __init__(self, timeout_s: float) -> None:
        self.closing = False
        self._timeout_s = timeout_s
        self._open: dict[Upload, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def release(self) -> None:
        """Give up soon on what is not here yet: the server is about to end, and would wait for it."""
        self.closing = True
        self._timeout_s = min(self._timeout_s, _PARTING_S)
        if self._timer is not None:
            self._timer.cancel()
        latest = asyncio.get_running_loop().time() + self._timeout_s
        self._open = {upload: min(deadline, latest) for upload, deadline in self._open.items()}
        self._look()

    def refusal(self) -> HTTPException:
        """What a body is told that has not come in time. Its connection closes: the rest of it is not wanted."""
        if self.closing:
            headers = {"Connection": "close", "Retry-After": "1"}
            return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the server is closing", headers)
        detail = f"the request body did not arrive within {self._timeout_s:g} s"
        return HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, {"Connection": "close"})

    def begin(self, upload: Upload) -> None:
        """Wait for a body from now on."""
        loop = asyncio.get_running_loop()
        self._open[upload] = loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s, self._look)

    def end(self, upload: Upload) -> None:
        """Wait no longer: all of it is here, or nobody wants it."""
        self._open.pop(upload, None)

    def _look(self) -> None:
        """Give up on what is late, and look again when the next one may be."""
        loop, self._timer = asyncio.get_running_loop(), None
        now = loop.time()
        while self._open:
            upload, deadline = next(iter(self._open.items()))
            if deadline > now:
                self._timer = loop.call_at(deadline, self._look)
                return
            del self._open[upload]
            upload.give_up()


class Upload:
    """One request's body on its way."""

    def __init__(self, receive: Receive, uploads: Uploads) -> None:
        self._receive = receive
        self._uploads = uploads
        self._request = asyncio.current_task()
        self._begun = self._whole = self._waiting = self._late = False

    async def receive(self) -> Message:
        """The next message.

        Raises:
            HTTPException: the body did not come in time.
        """
        # Another task that reads has an answer begun, and waits for its client to leave: that may last.
        if self._whole or asyncio.current_task() is not self._request:
            return await self._receive()
        if not self._begun:
            self._begun = True
            self._uploads.begin(self)
        message = await self._awaited()
        if not message.get("more_body"):
            self._whole = True
            self._uploads.end(self)
        return message

    def give_up(self) -> None:
        """Have whoever waits for more, or will ask for it, wait no longer."""
        self._late = True
        if self._waiting and self._request is not None:
            self._request.cancel()

    async def _awaited(self) -> Message:
        if self._late:
            raise self._uploads.refusal()
        self._waiting = True
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if not self._late or self._request is None or self._request.uncancel():  # not us, or not us alone
                raise
            raise self._uploads.refusal() from None
        finally:
            self._waiting = False
