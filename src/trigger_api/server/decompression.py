"""Request bodies that clients compress: gzip and deflate, with a limit on what they unpack to."""

from __future__ import annotations

import zlib
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trigger_api.server.problems import id_of, problem

_GZIP, _DEFLATE = 31, 47  # zlib's window sizes: a gzip header; either header, found out
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _DEFLATE}
_PIECE = 262_144  # bytes unpacked at a time: the event loop does not stall for longer
_DAMAGED = "the request body is not what its Content-Encoding says, or was cut off"


class Decompression:
    """Unpacks a compressed request body before anything parses it.

    Args:
        app: takes the plain body.
        limit: bytes that a body may unpack to.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        encoding = _encoding(scope) if scope["type"] == "http" else ""
        if encoding in ("", "identity"):
            await self._app(scope, receive, send)
        elif encoding in _WINDOWS:
            await self._app(_plain(scope), _Body(receive, _WINDOWS[encoding], self._limit).receive, send)
        else:
            await _refusal(scope, encoding)(scope, receive, send)


class _Body:
    """A compressed body, unpacked as it comes."""

    def __init__(self, receive: Receive, window: int, limit: int) -> None:
        self._receive = receive
        self._decompressor = zlib.decompressobj(window)
        self._window = window
        self._limit = limit
        self._packed = b""
        self._more = True  # whether more of it will come
        self._done = False
        self._started = False

    async def receive(self) -> Message:
        """The next piece of the plain body, or a disconnect.

        Raises:
            HTTPException: it is damaged, or too large. FastAPI lets only this kind out of its body parser.
        """
        if self._done or (self._more and not self._packed):
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._packed, self._more = message.get("body", b""), message.get("more_body", False)
        body = self._unpack()
        self._done = not self._more and not self._packed
        if self._done and not self._decompressor.eof:
            raise HTTPException(HTTPStatus.BAD_REQUEST, _DAMAGED)
        return {"type": "http.request", "body": body, "more_body": not self._done}

    def _unpack(self) -> bytes:
        try:
            body = self._decompress()
        except zlib.error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, _DAMAGED) from None
        self._packed = self._decompressor.unconsumed_tail
        self._limit -= len(body)
        if self._limit < 0:
            detail = "the request body unpacks to more bytes than a body may have"
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        return body

    def _decompress(self) -> bytes:
        started, self._started = self._started, True
        try:
            return self._decompressor.decompress(self._packed, _PIECE)
        except zlib.error:
            if started or self._window != _DEFLATE:
                raise
            self._decompressor = zlib.decompressobj(-zlib.MAX_WBITS)  # some clients leave deflate's header out
            return self._decompressor.decompress(self._packed, _PIECE)


def _encoding(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"content-encoding"]
    return b",".join(values).decode("latin-1").strip().lower()


def _plain(scope: Scope) -> Scope:
    """The request as if its body had come plain; how long it is, nobody knows yet."""
    plain = {**scope, "headers": list(scope["headers"])}
    headers = MutableHeaders(scope=plain)
    del headers["content-encoding"], headers["content-length"]
    return plain


def _refusal(scope: Scope, encoding: str) -> ASGIApp:
    detail = f"Content-Encoding: {encoding[:40]} is not supported: send gzip, deflate or a plain body"
    headers = {"Accept-Encoding": "gzip, deflate"}
    return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, request_id=id_of(scope), headers=headers)
