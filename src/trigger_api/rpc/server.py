"""The gRPC server beside the one for HTTP: the same queues, callers and limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import grpc
import structlog
from fastapi import FastAPI
from grpc_reflection.v1alpha import reflection, reflection_pb2

from trigger_api.rpc import health, inference
from trigger_api.rpc.calls import Calls
from trigger_api.server.shutdown import on_termination
from trigger_api.settings import Settings

_REFLECTION: Final = "grpc.reflection.v1alpha.ServerReflection"
_CALLS_PER_CONNECTION = 128
_HANDSHAKE_S = 20
_KEEP_ALIVE_S = 60  # a peer that is gone without a word is noticed after this time
_log = structlog.get_logger(__name__)


@asynccontextmanager
async def serving(app: FastAPI, port: int) -> AsyncIterator[int]:
    """Serve an application's models over gRPC for the duration of the block; yields the port.

    Args:
        app: the application, whose service has been started.
        port: the port to listen on, at the address of the settings; 0 for any that is free.

    Raises:
        RuntimeError: it cannot be listened on.
    """
    calls = Calls(app)
    server = _server(calls, app.state.settings)
    port = server.add_insecure_port(_address(app.state.settings.host, port))
    await server.start()
    _log.info("serving gRPC", port=port)
    stopping: list[asyncio.Task[None]] = []

    def begin_shutdown() -> None:
        calls.begin_shutdown()
        stopping.append(asyncio.create_task(server.stop(app.state.settings.drain_s)))

    try:
        with on_termination(begin_shutdown):
            yield port
    finally:
        if not stopping:
            begin_shutdown()
        await asyncio.gather(*stopping)


def _server(calls: Calls, settings: Settings) -> grpc.aio.Server:
    server = grpc.aio.server(options=_options(settings), maximum_concurrent_rpcs=settings.grpc_max_calls)
    for service, methods in {inference.SERVICE: inference.METHODS, health.SERVICE: health.METHODS}.items():
        _add(server, service, {name: calls.unary(f"/{service}/{name}", each) for name, each in methods.items()})
    _add(server, _REFLECTION, {"ServerReflectionInfo": _reflection(calls)})
    return server


def _add(server: grpc.aio.Server, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])


def _reflection(calls: Calls) -> grpc.RpcMethodHandler:
    """What tools such as grpcurl ask for the methods and their messages; for those who may see the OpenAPI document."""
    servicer = reflection.aio.ReflectionServicer([inference.SERVICE, health.SERVICE, _REFLECTION])
    return calls.stream(
        f"/{_REFLECTION}/ServerReflectionInfo",
        "/openapi.json",
        servicer.ServerReflectionInfo,
        (reflection_pb2.ServerReflectionRequest.FromString, reflection_pb2.ServerReflectionResponse.SerializeToString),
    )


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_allowed_incoming_connections", settings.grpc_max_calls),
        ("grpc.max_concurrent_streams", _CALLS_PER_CONNECTION),
        ("grpc.max_connection_idle_ms", settings.keep_alive_s * 1_000),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_S * 1_000),
        ("grpc.keepalive_time_ms", _KEEP_ALIVE_S * 1_000),
        ("grpc.so_reuseport", int(settings.workers > 1)),  # or a port that is taken would not be noticed
    ]


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
