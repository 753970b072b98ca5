"""Calls: what the middleware is to requests over HTTP.

Each call gets an id, is authenticated and counted against its caller's limits before its message is read, is logged in
one line, and never shows its caller an unexpected exception.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import grpc
import structlog
from fastapi import FastAPI
from google.protobuf.message import DecodeError, Message
from grpc.aio import ServicerContext
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from trigger_api.accounts.caller import Caller
from trigger_api.errors import BadRequest, DeadlineExceeded, NotReady, ServiceError
from trigger_api.observability import logs
from trigger_api.rpc.status import code_of, metadata_of
from trigger_api.server.auth import PUBLIC_PATHS, authenticate
from trigger_api.server.middleware import CLIENT_CLOSED_REQUEST, request_id_of
from trigger_api.service import Service

_SHUTDOWN_TIMEOUT_S = 1.0  # enough for a message that has nearly arrived
_PROXIES = "FORWARDED_ALLOW_IPS"  # uvicorn's variable: proxies whose X-Forwarded-For is true
_log = structlog.get_logger("trigger_api.request")
Metadata = list[tuple[str, str]]


@dataclass(frozen=True)
class Call:
    """A call that was admitted."""

    service: Service
    caller: Caller
    request: Request
    """Its metadata as the headers of a request over HTTP, for what reads those."""
    metadata: Metadata = field(default_factory=list)
    """What the answer says besides its message."""


@dataclass(frozen=True)
class Method:
    """How to serve one method: what reads its message, in a thread if that is large, and what answers."""

    decode: Callable[[bytes], Any]
    answer: Callable[[Call, Any], Awaitable[Message | bytes]]
    path: str = ""
    """The path over HTTP that is open to the same callers, if it is open to more than most are."""


class Calls:
    """Serves methods for the callers of an application."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._service: Service = app.state.service
        self._settings = self._service.settings
        self._metrics = self._service.metrics
        self._traces = self._service.traces
        self._proxies = ProxyHeadersMiddleware(cast(Any, _ignore), os.environ.get(_PROXIES, "127.0.0.1"))
        self._clocks: set[asyncio.Timeout] = set()
        self._closing = False

    def begin_shutdown(self) -> None:
        """Shorten every wait for what a client has yet to send."""
        self._closing = True
        latest = asyncio.get_running_loop().time() + _SHUTDOWN_TIMEOUT_S
        for clock in self._clocks:
            clock.reschedule(min(clock.when() or latest, latest))

    def unary(self, name: str, method: Method) -> grpc.RpcMethodHandler:
        """The handler of a method with one message each way."""
        # As one that takes a stream: it is called before the message has arrived.
        return grpc.stream_unary_rpc_method_handler(partial(self._serve_unary, name, method))

    def stream(self, name: str, path: str, answers: Any, codec: tuple[Any, Any]) -> grpc.RpcMethodHandler:
        """The handler of a method that streams both ways.

        Args:
            name: the method's.
            path: over HTTP, that is open to the same callers.
            answers: what gRPC calls for a method of this kind.
            codec: reads messages, and writes answers.
        """
        return grpc.stream_stream_rpc_method_handler(partial(self._serve_stream, name, path, answers), *codec)

    async def _serve_unary(self, name: str, method: Method, _messages: Any, context: ServicerContext) -> bytes:
        async with self._admitted(name, method.path or name, context) as call:
            body = await self._read(context)
            decode = partial(_decode, method.decode)
            answer = await method.answer(call, await self._service.engine.preprocess(decode, body, size=len(body)))
            return answer if isinstance(answer, bytes) else bytes(answer.SerializeToString())
        raise AssertionError  # a call that is not answered is aborted

    async def _serve_stream(
        self, name: str, path: str, answers: Any, messages: Any, context: ServicerContext
    ) -> AsyncIterator[Any]:
        async with self._admitted(name, path, context), self._waiting(None):
            async for answer in answers(messages, context):
                yield answer

    @asynccontextmanager
    async def _admitted(self, name: str, path: str, context: ServicerContext) -> AsyncIterator[Call]:
        """Authenticate a call and count it against its caller's limits; the call ends with the block."""
        request = self._request(path, context)
        async with self._recorded(name, request, context) as metadata:
            await self._proxies(cast(Any, request.scope), *cast(Any, (None, None)))
            caller = await authenticate(request)
            async with self._within_limits(caller, path, metadata):
                yield Call(self._service, caller, request, metadata)

    @asynccontextmanager
    async def _within_limits(self, caller: Caller, path: str, metadata: Metadata) -> AsyncIterator[None]:
        allowance = None if path in PUBLIC_PATHS else getattr(self._app.state, "allowance", None)
        if allowance is not None:
            quota = await allowance.hit(caller)
            metadata += [(name.decode(), value.decode()) for name, value in allowance.headers(quota)]
            allowance.check(quota)
        with allowance.slot(caller) if allowance is not None else nullcontext():
            yield

    @asynccontextmanager
    async def _recorded(self, name: str, request: Request, context: ServicerContext) -> AsyncIterator[Metadata]:
        """Log and count a call, and map its errors; yields what is to be sent with its status."""
        request_id = request_id_of(request.scope)
        metadata, status, started = [("x-request-id", request_id)], int(HTTPStatus.OK), time.perf_counter()
        traced = self._traces.call(name, request.headers) if self._traces else nullcontext()
        with traced, logs.bind_request_id(request_id), self._metrics.in_flight.track_inprogress():
            try:
                yield metadata
                context.set_trailing_metadata(tuple(metadata))
            except ServiceError as error:
                status = int(error.status)
                await context.abort(code_of(error), error.detail, (*metadata, *metadata_of(error)))
            except (asyncio.CancelledError, GeneratorExit):  # by the client, its deadline, or the end of the server
                status = CLIENT_CLOSED_REQUEST
                raise
            except Exception as error:
                status = int(HTTPStatus.INTERNAL_SERVER_ERROR)
                _log.error("request failed", exc_info=error)
                detail = "internal error; see the server's log for this x-request-id"
                await context.abort(grpc.StatusCode.INTERNAL, detail, tuple(metadata))
            finally:
                self._record(name, status, time.perf_counter() - started)

    def _record(self, name: str, status: int, seconds: float) -> None:
        if self._traces:
            self._traces.end_call(status)
        self._metrics.seconds.labels(name).observe(seconds)
        self._metrics.requests.labels("gRPC", name, str(status)).inc()
        _log.info("request", method="gRPC", route=name, status=status, ms=round(seconds * 1000, 1))

    async def _read(self, context: ServicerContext) -> bytes:
        async with self._waiting(self._settings.body_timeout_s):
            body = await context.read()
        if not isinstance(body, bytes):
            raise BadRequest("the call has no message")
        return body

    @asynccontextmanager
    async def _waiting(self, seconds: float | None) -> AsyncIterator[None]:
        """Limit a wait for the client, and end it when the server shuts down."""
        try:
            async with asyncio.timeout(seconds) as clock:
                self._clocks.add(clock)
                try:
                    yield
                finally:
                    self._clocks.discard(clock)
        except TimeoutError:
            if self._closing:
                raise NotReady("the server is shutting down", retry_after=1) from None
            raise DeadlineExceeded(f"the message did not arrive within {seconds:g} s") from None

    def _request(self, path: str, context: ServicerContext) -> Request:
        """The call as a request over HTTP: it is authenticated by the same function."""
        metadata = context.invocation_metadata() or ()
        headers = [(str(key).encode(), value.encode()) for key, value in metadata if isinstance(value, str)]
        return Request(
            {
                "type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers,
                "client": _peer(context.peer()), "app": self._app, "state": {},
            }
        )  # fmt: skip


def _decode(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except DecodeError:
        raise BadRequest("this is not a message of the method that was called") from None


def _peer(text: str) -> tuple[str, int] | None:
    """The address and port in gRPC's name of a peer, such as ``ipv6:%5B::1%5D:50051``; None for a Unix socket."""
    kind, _, address = unquote(text).partition(":")
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if kind in ("ipv4", "ipv6") and port.isdecimal() else None


async def _ignore(_scope: Scope, _receive: Receive, _send: Send) -> None:
    pass
