from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tritonclient.grpc import service_pb2_grpc

from helpers.beep import BeepModel
from helpers.beep_tensors import message
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.observability import traces
from trigger_api.observability.traces import Traces
from trigger_api.settings import Settings

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
PARTS = ["decode", "queue", "inference", "postprocess"]


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    made = InMemorySpanExporter()
    monkeypatch.setattr(traces, "exporting_to", lambda url: Traces(SimpleSpanProcessor(made)))
    return made


@pytest.fixture
def app(settings: Settings, network: BeepModel, exporter: InMemorySpanExporter) -> FastAPI:
    changed = settings.model_copy(update={"otlp_url": "http://127.0.0.1:1", "grpc_port": 0, "log_level": "info"})
    return create_app(changed, loader=lambda path, card: network)


@pytest.fixture
async def client(app: FastAPI, exporter: InMemorySpanExporter) -> AsyncIterator[httpx.AsyncClient]:
    async with started(app) as client:
        exporter.clear()
        yield client


def tree(exporter: InMemorySpanExporter) -> tuple[Any, list[Any]]:
    """The request's span, and those in it by their beginning."""
    spans: list[Any] = [*exporter.get_finished_spans()]
    (request,) = [span for span in spans if span.kind.name == "SERVER"]
    parts = [span for span in spans if span is not request]
    assert {span.context.trace_id for span in spans} == {request.context.trace_id}
    assert {span.parent.span_id for span in parts if span.parent} <= {request.context.span_id}
    return request, sorted(parts, key=lambda span: (span.start_time, span.end_time))


async def test_a_recording(client: httpx.AsyncClient, exporter: InMemorySpanExporter, two_beeps: bytes) -> None:
    answer = await client.post("/v1/trigger", files={"audio": two_beeps}, headers=HEADERS)
    assert answer.json()["detected"]
    request, parts = tree(exporter)
    assert request.name == "POST /v1/trigger"
    assert request.parent
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, PARENT)
    attributes = request.attributes or {}
    assert (attributes["http.route"], attributes["http.response.status_code"]) == ("/v1/trigger", 200)
    assert {"decode", "queue", "inference"} <= {span.name for span in parts}
    for span in parts:
        assert (request.start_time or 0) <= (span.start_time or 0) + 1_000_000  # two clocks
        assert (span.end_time or 0) <= (request.end_time or 0) + 1_000_000


async def test_tensors(client: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    tensors = [
        {"name": "mel", "shape": [1, 8, 32], "datatype": "FP32", "data": [0] * 256},
        {"name": "state", "shape": [1, 1], "datatype": "FP32", "data": [0]},
    ]
    await client.post("/v2/models/beep-embedding/infer", json={"inputs": tensors})
    request, parts = tree(exporter)
    assert request.parent is None
    assert list(dict.fromkeys(span.name for span in parts)) == PARTS


async def test_calls_over_grpc(app: FastAPI, client: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.state.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        await stub.ModelInfer(message(), metadata=tuple(HEADERS.items()))
    request, parts = tree(exporter)
    assert request.name == "/inference.GRPCInferenceService/ModelInfer"
    assert f"{request.context.trace_id:032x}" == TRACE
    assert {span.name for span in parts} == {*PARTS}
    assert {(span.attributes or {}).get("batch_size") for span in parts if span.name == "inference"} == {3}


async def test_requests_that_are_no_samples_have_no_spans(
    app: FastAPI, client: httpx.AsyncClient, exporter: InMemorySpanExporter, two_beeps: bytes
) -> None:
    unsampled = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    assert (await client.post("/v1/trigger", files={"audio": two_beeps}, headers=unsampled)).status_code == 200
    assert await app.state.service.engine.preprocess(int, "7", size=1) == 7
    assert not exporter.get_finished_spans()


async def test_errors(client: httpx.AsyncClient, exporter: InMemorySpanExporter, monkeypatch: Any, app: Any) -> None:
    await client.get("/v1/models/nix")
    monkeypatch.setattr(app.state.service.registry, "versions", None)
    await client.get("/v1/models", headers={"traceparent": "nonsense"})
    missing, failed = exporter.get_finished_spans()
    assert (missing.name, missing.status.is_ok) == ("GET /v1/models/{name}", True)
    assert (failed.attributes or {})["http.response.status_code"] == 500
    assert not failed.status.is_ok


async def test_lines_of_the_log_name_their_trace(caplog: pytest.LogCaptureFixture, client: httpx.AsyncClient) -> None:
    await client.get("/v1/models", headers=HEADERS)
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["trace_id"], len(line["span_id"])) == (TRACE, 16)


@pytest.mark.slow
def test_nothing_is_imported_when_off(models: Path) -> None:
    code = (
        "import sys\n"
        "from trigger_api.app import create_app\n"
        "from trigger_api.service import Service\n"
        "from trigger_api.settings import Settings\n"
        "app = create_app(Settings(bundled=False))\n"
        "found = {'opentelemetry.sdk', 'trigger_api.observability.traces', 'trigger_api.traced_engine'}\n"
        "assert not found & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
