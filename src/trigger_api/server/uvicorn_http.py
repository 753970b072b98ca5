"""uvicorn's httptools protocol with a limit on the size of request heads, and answers that leave in one piece."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trigger_api.server.problems import PROBLEM_TYPE

MAX_HEAD_BYTES = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UPGRADE = re.compile(rb"^upgrade:[ \t]*h2c[ \t]*\r\n", re.IGNORECASE | re.MULTILINE)
_BODY = b'{"type":"about:blank","title":"Request Header Fields Too Large","status":431,"success":false}'
_HEAD = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close"
_REFUSAL = _HEAD % (PROBLEM_TYPE.encode(), len(_BODY)) + b"\r\n\r\n" + _BODY


class BoundedHttp(HttpToolsProtocol):
    """Rejects a request line and headers that do not end: the parser would keep, and copy, all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True

    def data_received(self, data: bytes) -> None:
        """Parse the data, and count it towards the head if that is still incomplete."""
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        super().data_received(_without_upgrade(data) if self._in_head and b"h2c" in data else data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_REFUSAL)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        self._in_head = False
        super().on_headers_complete()
        if self.cycle is not None and not isinstance(self.cycle.transport, JoinedHead):
            self.cycle.transport = JoinedHead(self.transport, self.loop)

    def on_message_complete(self) -> None:
        """Start counting again: another head may follow."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()


class JoinedHead(asyncio.Transport):
    """Sends the head of one response together with its body, as far as that follows at once.

    That saves a system call. Also, a proxy that has seen a head can ask no other server any more: a process that is
    killed between the two would leave its client with half an answer.

    Args:
        transport: of the connection.
        loop: runs it.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._has_begun = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the head until the body comes, or the event loop's next turn."""
        if not self._has_begun and data != _CONTINUE:
            self._has_begun, self._head = True, bytes(data)
            self._loop.call_soon(self._send_head)
            return
        head, self._head = self._head, b""
        self._transport.write(head + bytes(data) if head else data)

    def close(self) -> None:
        """Send what is left, then close the connection."""
        self._send_head()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def _send_head(self) -> None:
        if self._head:
            self.write(b"")


def _without_upgrade(data: bytes) -> bytes:
    """A head without its offer to go on in HTTP/2, as Java's client and `curl --http2` make it.

    A server may pass over the offer, but the parser takes it for accepted, and drops the request's body.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"", head + end) + rest
