"""What every request passes through before its route: plain ASGI, outermost first."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
import uuid
from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from trigger_api.errors import NotReady, Unauthenticated
from trigger_api.observability import logs
from trigger_api.observability.metrics import Metrics
from trigger_api.server.auth import UNAUTHENTICATED, authenticate_request
from trigger_api.server.problems import internal_error, problem
from trigger_api.server.uploads import Upload, Uploads
from trigger_api.settings import Settings

_log = structlog.get_logger("trigger_api.request")
# Random once for a process, then counted: asking the system for each request would hand on the interpreter each time.
_PROCESS_ID, _count = uuid.uuid4().hex[:16], itertools.count()
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SOON_S = 0.01  # an answer that comes as soon as this is not worth watching for who leaves before it
_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
_CLIENT_GONE = 499  # nginx's number for a client that hung up; nobody receives it


class RequestLog:
    """Names each request, counts it, logs it in one line, and turns a fault of ours into an answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = _request_id(scope)
        response = _Response(send, request_id)
        if scope["type"] == "websocket":
            await self._upgrade(scope, receive, response)
            return
        started = time.perf_counter()
        with logs.about(request_id), self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, response.send)
            except asyncio.CancelledError:  # the server's patience with open requests is over
                if response.status:
                    raise
                # The answer is the end of it: raised again, it would stand in the log as a fault of ours.
                error = NotReady("the server is closing", retry_after=1)
                answer = problem(error.status, error.detail, request_id=request_id, headers=error.headers)
                await answer(scope, receive, response.send)
            except Exception as error:
                _log.error("request failed", exc_info=error)
                if not response.status:
                    await internal_error(request_id)(scope, receive, response.send)
            finally:
                self._record(scope, response.status or _CLIENT_GONE, time.perf_counter() - started)

    async def _upgrade(self, scope: Scope, receive: Receive, response: _Response) -> None:
        """Serve one WebSocket: a request like any other, that ends when its stream does."""
        started = time.perf_counter()
        with logs.about(response.request_id):
            try:
                await self._app(scope, receive, response.send)
            except WebSocketDisconnect:  # it was gone before it was let in
                pass
            finally:
                self._line(scope, response.status or _CLIENT_GONE, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        self._metrics.seconds.labels(_route(scope)).observe(seconds)
        self._line(scope, status, seconds)

    def _line(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = scope.get("method", "GET"), _route(scope)  # a WebSocket is always asked for by GET
        self._metrics.requests.labels(method, route, str(status)).inc()
        _log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


class _Response:
    """Watches an answer go out: its status, and our header on it."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.status = 0
        self.request_id = request_id
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] in _STARTS:
            self.status = message.get("status", HTTPStatus.SWITCHING_PROTOCOLS)
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
        await self._send(message)


class AuthMiddleware:
    """Turns strangers away before their bodies are read. The routes' own dependency asks the same question again."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and authenticate_request(HTTPConnection(scope), self._settings) is None:
            error = Unauthenticated(UNAUTHENTICATED)
            request_id = scope.get("state", {}).get("request_id", "")
            answer = problem(error.status, error.detail, request_id=request_id, headers=error.headers)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


class BodyLimit:
    """Counts a body's bytes before anything parses them, and stops reading at the limit, of bytes or of time."""

    def __init__(self, app: ASGIApp, limit: int, uploads: Uploads) -> None:
        self._app = app
        self._limit = limit
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared(scope) > self._limit:
            request_id = scope.get("state", {}).get("request_id", "")
            answer = problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._detail, request_id=request_id)
            await answer(scope, receive, send)
            return
        upload = Upload(receive, self._uploads)
        try:
            await self._app(scope, self._counted(upload.receive), send)
        finally:
            self._uploads.end(upload)

    @property
    def _detail(self) -> str:
        return f"the request body is larger than {self._limit} bytes"

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                # Not a ServiceError: FastAPI lets only this kind out of its body parser.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._detail)
            return message

        return counted


class Disconnect:
    """Cancels a request's work when its client has gone: nobody waits for the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watch = _Watch(receive, send)
        try:
            await self._app(scope, watch.receive, watch.send)
        except asyncio.CancelledError:
            if not watch.gone:  # it was not us: the server is shutting down
                raise
        finally:
            watch.stop()


class _Watch:
    """Passes a body on; once it is complete, the next message can only be the disconnect.

    With the last byte of the answer the watch ends: servers then say "disconnect" too, and what cleans up after the
    request must not be cancelled.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self.gone = False
        self._receive = receive
        self._send = send
        self._request = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body") and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SOON_S, self._begin)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.stop()
        await self._send(message)

    def stop(self) -> None:
        for waiting in (self._timer, self._waiting):
            if waiting is not None:
                waiting.cancel()

    def _begin(self) -> None:
        self._waiting = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._request is not None:
            self._request.cancel()


def _route(scope: Scope) -> str:
    """The route's pattern, never the path: paths are without end, and may hold what nobody should log."""
    return getattr(scope.get("route"), "path", "unmatched")


def _request_id(scope: Scope) -> str:
    """The caller's own id if it is a sane one."""
    given = _header(scope, b"x-request-id")
    return given.decode() if _REQUEST_ID.fullmatch(given) else f"{_PROCESS_ID}{next(_count):016x}"


def _declared(scope: Scope) -> int:
    length = _header(scope, b"content-length")
    return int(length) if length.isdigit() else 0


def _header(scope: Scope, name: bytes) -> bytes:
    """A header as the server gave it: for a single look, an object over all of them costs more than the look."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""
