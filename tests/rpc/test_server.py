from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from fastapi import FastAPI
from grpc_reflection.v1alpha import reflection_pb2_grpc
from tritonclient.grpc import service_pb2_grpc

from helpers.beep import BeepModel
from helpers.beep_tensors import MODEL, message
from helpers.running import started
from helpers.until import until
from trigger_api.app import create_app
from trigger_api.rpc.server import _address
from trigger_api.settings import Settings


async def test_it_is_off_by_default(settings: Settings, network: BeepModel) -> None:
    app = create_app(settings.model_copy(update={"grpc_port": None}), loader=lambda path, card: network)
    async with started(app):
        assert not hasattr(app.state, "grpc_port")


async def test_a_port_that_is_taken_is_noticed(settings: Settings, app: FastAPI, network: BeepModel) -> None:
    async with started(app):
        taken = settings.model_copy(update={"grpc_port": app.state.grpc_port})
        with pytest.raises(RuntimeError, match="bind"):
            async with started(create_app(taken, loader=lambda path, card: network)):
                pass


async def test_accepted_calls_are_finished_at_the_end(app: FastAPI, network: BeepModel) -> None:
    async with started(app):
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.state.grpc_port}")
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        queue = app.state.service.registry.find(None, MODEL).model.queues[8]
        network.gate.clear()
        call = stub.ModelInfer(message())
        await until(lambda: queue.running)
        asyncio.get_running_loop().call_later(0.3, network.gate.set)
    assert (await call).outputs
    await channel.close()


@pytest.mark.parametrize("method", ["reflection", "half"])
async def test_nothing_that_waits_for_its_client_delays_the_end(app: FastAPI, method: str) -> None:
    async with started(app):
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.state.grpc_port}")
        stream: Any = (
            reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
            if method == "reflection"
            else channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")()
        )
        await asyncio.sleep(0.1)
        started_at = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started_at < 4  # five seconds of grace
    assert await stream.code() is grpc.StatusCode.UNAVAILABLE
    await channel.close()


def test_addresses() -> None:
    assert [_address("127.0.0.1", 1), _address("::", 2)] == ["127.0.0.1:1", "[::]:2"]
