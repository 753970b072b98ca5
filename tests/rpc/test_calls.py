from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pydantic import SecretStr
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc import service_pb2_grpc

from helpers.beep import BeepModel
from helpers.beep_tensors import MODEL, message
from helpers.people import accounts_app, join, running, token_of
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.rpc.calls import _peer
from trigger_api.rpc.inference import SERVICE
from trigger_api.settings import Settings

LISTED = messages.RepositoryIndexRequest()
UNLOAD = messages.RepositoryModelUnloadRequest(model_name="beep")


@asynccontextmanager
async def stub_of(settings: Settings, network: BeepModel, **changes: Any) -> AsyncIterator[Any]:
    app = create_app(settings.model_copy(update=changes), loader=lambda path, card: network)
    async with started(app), grpc.aio.insecure_channel(f"127.0.0.1:{app.state.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.channel, stub.app = channel, app
        yield stub


async def error_of(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("metadata", [(("x-api-token", "t1"),), (("authorization", "Bearer t1"),)])
async def test_tokens_are_those_of_http(settings: Settings, network: BeepModel, metadata: Any) -> None:
    tokens = {"tokens": (SecretStr("t1"),), "admin_tokens": (SecretStr("admin"),)}
    async with stub_of(settings, network, **tokens) as stub:
        assert (await error_of(stub.RepositoryIndex(LISTED))).code() is grpc.StatusCode.UNAUTHENTICATED
        wrong = (("x-api-token", "t2"),)
        assert (await error_of(stub.ModelInfer(message(), metadata=wrong))).code() is grpc.StatusCode.UNAUTHENTICATED
        assert (await stub.RepositoryIndex(LISTED, metadata=metadata)).models
        assert (await stub.ModelInfer(message(), metadata=metadata)).outputs
        refused = await error_of(stub.RepositoryModelUnload(UNLOAD, metadata=metadata))
        assert refused.code() is grpc.StatusCode.PERMISSION_DENIED
        await stub.RepositoryModelUnload(UNLOAD, metadata=(("x-api-token", "admin"),))


async def test_probes_send_no_token(settings: Settings, network: BeepModel) -> None:
    async with stub_of(settings, network, auth="required") as stub:
        assert (await stub.ServerLive(messages.ServerLiveRequest())).live
        assert (await stub.ServerReady(messages.ServerReadyRequest())).ready
        health = health_pb2_grpc.HealthStub(stub.channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
        named = health_pb2.HealthCheckRequest(service=SERVICE)
        stub.app.state.service.registry.close()
        assert (await health.Check(named)).status == 2
        unknown = health_pb2.HealthCheckRequest(service="nix")
        assert (await error_of(health.Check(unknown))).code() is grpc.StatusCode.NOT_FOUND
        for call in (stub.ServerMetadata(messages.ServerMetadataRequest()), stub.ModelInfer(message())):
            assert (await error_of(call)).code() is grpc.StatusCode.UNAUTHENTICATED


async def test_accounts_are_those_of_http(settings: Settings, tmp_path: Path, quick_passwords: None) -> None:
    app = accounts_app(settings, f"sqlite:///{tmp_path}/d.sqlite3")
    async with running(app) as client, grpc.aio.insecure_channel(f"127.0.0.1:{app.state.grpc_port}") as channel:
        await join(client)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert (await error_of(stub.ModelInfer(message()))).code() is grpc.StatusCode.UNAUTHENTICATED
        tokens = {scope: await token_of(client, scope) for scope in ("predict", "history")}
        metadata = {scope: (("x-api-token", token["token"]),) for scope, token in tokens.items()}
        refused = await error_of(stub.ModelInfer(message(), metadata=metadata["history"]))
        assert (refused.code(), refused.details()) == (
            grpc.StatusCode.PERMISSION_DENIED, "this token lacks the scope `predict`",
        )  # fmt: skip
        kept = stub.ModelInfer(message(parameters={"save": {"bool_param": True}}), metadata=metadata["predict"])
        assert (await kept).outputs
        found = dict(await kept.trailing_metadata())
        assert found["history-saved"] == "true"
        entry = (await client.get(f"/v1/history/{found['history-id']}")).json()
        assert (entry["task"], entry["model"]) == ("raw", MODEL)


async def test_a_client_behind_a_proxy_of_this_machine_is_not_local(settings: Settings, network: BeepModel) -> None:
    async with stub_of(settings, network) as stub:
        forwarded = (("x-forwarded-for", "203.0.113.7"),)
        refused = await error_of(stub.RepositoryModelUnload(UNLOAD, metadata=forwarded))
        assert refused.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_what_a_caller_may_send_is_limited(settings: Settings, network: BeepModel) -> None:
    async with stub_of(settings, network, rate_limit="2/hour") as stub:
        for _ in range(2):
            call = stub.RepositoryIndex(LISTED)
            await call
        assert "ratelimit" in dict(await call.trailing_metadata())
        refused = await error_of(stub.RepositoryIndex(LISTED))
        assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "you may send 2 requests" in str(refused.details())
        assert (await stub.ServerLive(messages.ServerLiveRequest())).live


async def test_how_many_calls_a_caller_has_open_is_limited(settings: Settings, network: BeepModel) -> None:
    async with stub_of(settings, network, max_requests_per_caller=1) as stub:
        network.gate.clear()
        first = stub.ModelInfer(message())
        while not stub.app.state.service.registry.find(None, MODEL).model.queues[8].running:
            await asyncio.sleep(0.01)
        assert (await error_of(stub.RepositoryIndex(LISTED))).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        network.gate.set()
        assert (await first).outputs


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_a_large_message_is_refused(settings: Settings, network: BeepModel, compression: Any) -> None:
    """Also one that only becomes large when it is decompressed."""
    async with stub_of(settings, network, max_body_bytes=10_000) as stub:
        large = messages.ModelInferRequest(raw_input_contents=[bytes(1_000_000)])
        error = await error_of(stub.ModelInfer(large, compression=compression))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.ModelInfer(message(), compression=compression)).outputs


async def test_the_id_of_a_request_is_echoed_and_logged(settings: Settings, network: BeepModel, capsys: Any) -> None:
    async with stub_of(settings, network, log_level="info") as stub:
        call = stub.RepositoryIndex(LISTED, metadata=(("x-request-id", "mine-7"),))
        await call
        assert dict(await call.trailing_metadata())["x-request-id"] == "mine-7"
        error = await error_of(stub.ModelInfer(message(model_name="nix")))
        assert dict(error.trailing_metadata())["x-request-id"]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "mine-7"]
    assert (line["method"], line["route"], line["status"]) == ("gRPC", f"/{SERVICE}/RepositoryIndex", 200)


async def test_an_unexpected_error_shows_nothing(
    settings: Settings, network: BeepModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stub_of(settings, network) as stub:
        monkeypatch.setattr(stub.app.state.service.registry, "versions", None)
        error = await error_of(stub.RepositoryIndex(LISTED))
        assert error.code() is grpc.StatusCode.INTERNAL
        assert error.details() == "internal error; see the server's log for this x-request-id"


async def test_what_is_no_message_is_refused(settings: Settings, network: BeepModel) -> None:
    async with stub_of(settings, network) as stub:
        call = stub.channel.unary_unary(f"/{SERVICE}/ModelInfer")
        assert (await error_of(call(b"\xff\xff"))).code() is grpc.StatusCode.INVALID_ARGUMENT
        stream = stub.channel.stream_unary(f"/{SERVICE}/ModelInfer")()
        await stream.done_writing()
        assert "no message" in str((await error_of(stream)).details())
        unknown = stub.channel.unary_unary("/nix.Nix/Nix")
        assert (await error_of(unknown(b""))).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_that_does_not_arrive_is_not_waited_for(settings: Settings, network: BeepModel) -> None:
    async with stub_of(settings, network, body_timeout_s=0.2) as stub:
        stream = stub.channel.stream_unary(f"/{SERVICE}/ModelInfer")()
        error = await error_of(stream)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error.details() == "the message did not arrive within 0.2 s"
        assert (await stub.ServerLive(messages.ServerLiveRequest())).live


async def test_reflection_is_open_to_those_who_may_see_the_openapi_document(
    settings: Settings, network: BeepModel
) -> None:
    listed = reflection_pb2.ServerReflectionRequest(list_services="")
    async with stub_of(settings, network) as stub:
        reflection = reflection_pb2_grpc.ServerReflectionStub(stub.channel)
        (answer,) = [each async for each in reflection.ServerReflectionInfo(iter([listed]))]
        assert SERVICE in [service.name for service in answer.list_services_response.service]
    async with stub_of(settings, network, tokens=(SecretStr("t1"),)) as stub:
        reflection = reflection_pb2_grpc.ServerReflectionStub(stub.channel)
        error = await error_of(reflection.ServerReflectionInfo(iter([listed])).read())
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("ipv4:127.0.0.1:50051", ("127.0.0.1", 50_051)),
        ("ipv6:%5B::1%5D:50051", ("::1", 50_051)),
        ("ipv6:[::1]:50051", ("::1", 50_051)),
        ("unix:", None),
        ("unix:/tmp/x", None),
    ],
)
def test_peers(text: str, peer: Any) -> None:
    assert _peer(text) == peer
