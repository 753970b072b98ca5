"""The application with its gRPC server, and the public clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import tritonclient.grpc.aio as triton
from fastapi import FastAPI
from tritonclient.grpc import service_pb2_grpc

from helpers.running import started
from trigger_api.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"grpc_port": 0, "inference_threads": 1})


@pytest.fixture
async def address(app: FastAPI) -> AsyncIterator[str]:
    """The address of the gRPC server, its model ready."""
    async with started(app):
        yield f"127.0.0.1:{app.state.grpc_port}"


@pytest.fixture
async def client(address: str) -> AsyncIterator[Any]:
    """Triton's client."""
    async with triton.InferenceServerClient(address) as client:
        yield client


@pytest.fixture
async def stub(address: str) -> AsyncIterator[Any]:
    """The protocol's own stub, for what Triton's client does not send."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)
