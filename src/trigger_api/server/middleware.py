"""The middleware of every request: plain ASGI, listed from the outermost to the innermost."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from trigger_api.errors import NotReady, ServiceError, Unauthenticated
from trigger_api.observability import logs
from trigger_api.observability.metrics import Metrics
from trigger_api.server.auth import UNAUTHENTICATED, authenticate_request
from trigger_api.server.problems import error_response, id_of, internal_error, problem
from trigger_api.server.request_body import RequestBodies, RequestBody
from trigger_api.settings import Settings

_log, _level = structlog.get_logger("trigger_api.request"), logging.getLogger("trigger_api.request")
# One random prefix a process, then a counter: reading the system's randomness for each request would yield the GIL.
_PROCESS_ID, _count = uuid.uuid4().hex[:16], itertools.count()
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_WATCH_AFTER_S = 0.01  # quicker responses are not worth watching for a disconnect
_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
CLIENT_CLOSED_REQUEST = 499  # nginx's status for a client that disconnected; nobody receives it


class RequestLog:
    """Gives each request an id, counts it, logs it in one line, and answers unexpected exceptions."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = request_id_of(scope)
        response, started = _Response(send, request_id), time.perf_counter()
        serve = self._serve_websocket if scope["type"] == "websocket" else self._serve_http
        with logs.bind_request_id(request_id):
            try:
                await serve(scope, receive, response)
            finally:
                self._record(scope, response.status or CLIENT_CLOSED_REQUEST, time.perf_counter() - started)

    async def _serve_http(self, scope: Scope, receive: Receive, response: _Response) -> None:
        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, response.send)
            except asyncio.CancelledError:  # the server's grace period for open requests is over
                if response.status:
                    raise
                # Not raised again: uvicorn would log it as an error of the application.
                error = NotReady("the server is shutting down", retry_after=1)
                await error_response(error, response.request_id)(scope, receive, response.send)
            except Exception as error:
                _log.error("request failed", exc_info=error)
                if not response.status:
                    await internal_error(response.request_id)(scope, receive, response.send)

    async def _serve_websocket(self, scope: Scope, receive: Receive, response: _Response) -> None:
        with suppress(WebSocketDisconnect):  # the client left before it was accepted
            await self._app(scope, receive, response.send)

    @cached_property
    def _log(self) -> structlog.typing.FilteringBoundLogger:
        """Bound at the first request, when logs are configured: structlog would bind it anew for each line."""
        logger: structlog.typing.FilteringBoundLogger = _log.bind()
        return logger

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = scope.get("method", "GET"), _route(scope)  # a WebSocket always begins with a GET
        if scope["type"] == "http":
            self._metrics.seconds.labels(route).observe(seconds)
        self._metrics.requests.labels(method, route, str(status)).inc()
        if _level.isEnabledFor(logging.INFO):
            self._log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


class _Response:
    """Notes the status of a response on its way out, and adds the request id to its headers."""

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
    """Rejects unauthenticated requests before their bodies are read. The routes' dependency checks again."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        error = await self._check(HTTPConnection(scope)) if scope["type"] == "http" else None
        await (error_response(error, id_of(scope)) if error else self._app)(scope, receive, send)

    async def _check(self, connection: HTTPConnection) -> ServiceError | None:
        try:
            caller = await authenticate_request(connection, self._settings)
        except ServiceError as error:
            return error
        return None if caller else Unauthenticated(UNAUTHENTICATED)


@dataclass(frozen=True)
class BodyRules:
    """How large a body may be, in bytes, and those that are still arriving, which have a deadline."""

    limit: int
    bodies: RequestBodies


class BodyLimit:
    """Limits a request body, in bytes and in seconds, before anything parses it.

    Args:
        app: parses the body.
        rules: of all paths.
        others: of those that have rules of their own.
    """

    def __init__(self, app: ASGIApp, rules: BodyRules, others: Mapping[str, BodyRules]) -> None:
        self._app = app
        self._rules = rules
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        rules = self._others.get(path, self._rules)
        if _content_length(scope) > rules.limit:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            await problem(status, _too_large(rules), request_id=id_of(scope))(scope, receive, send)
        else:
            await self._serve(scope, receive, send, rules)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, rules: BodyRules) -> None:
        body = RequestBody(receive, rules.bodies)
        try:
            await self._app(scope, self._counted(body.receive, rules), send)
        finally:
            rules.bodies.remove(body)

    @staticmethod
    def _counted(receive: Receive, rules: BodyRules) -> Receive:
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > rules.limit:
                # Not a ServiceError: FastAPI's body parser lets only this kind through.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(rules))
            return message

        return counted


def _too_large(rules: BodyRules) -> str:
    return f"the request body is larger than {rules.limit} bytes"


class Disconnect:
    """Cancels a request when its client disconnects: nobody is waiting for the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watch = _DisconnectWatch(receive, send)
        try:
            await self._app(scope, watch.receive, watch.send)
        except asyncio.CancelledError:
            if not watch.disconnected:  # not by us: the server is shutting down
                raise
        finally:
            watch.stop()


class _DisconnectWatch:
    """Passes the body on. Once it is complete, the next message can only be the disconnect.

    The watch ends with the last byte of the response: servers send "http.disconnect" then too, and what cleans up after
    the request must not be cancelled.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self.disconnected = False
        self._receive = receive
        self._send = send
        self._request = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body") and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, self._begin)
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
        self.disconnected = True
        if self._request is not None:
            self._request.cancel()


def _route(scope: Scope) -> str:
    """The route's pattern, not the path: there is no end of paths, and they may contain what should not be logged."""
    return getattr(scope.get("route"), "path", "unmatched")


def request_id_of(scope: Scope) -> str:
    """The client's own id if it is well-formed, else a new one."""
    given = _header(scope, b"x-request-id")
    return given.decode() if _REQUEST_ID.fullmatch(given) else f"{_PROCESS_ID}{next(_count):016x}"


def _content_length(scope: Scope) -> int:
    length = _header(scope, b"content-length")
    return int(length) if length.isdigit() else 0


def _header(scope: Scope, name: bytes) -> bytes:
    """One header of the raw list: building a Headers object would cost more than this search."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""
