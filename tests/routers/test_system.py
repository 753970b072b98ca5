from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import httpx
from fastapi import FastAPI

from helpers.beep import BeepModel
from helpers.running import started
from helpers.until import let_others_run
from trigger_api.app import create_app
from trigger_api.model_card import ModelCard
from trigger_api.settings import Settings


async def test_live_at_once_and_ready_after_a_real_inference(app: FastAPI, network: BeepModel) -> None:
    network.gate.clear()
    async with started(app, ready=False) as client:
        assert (await client.get("/health/live")).json() == {"status": "ok"}
        waiting = await client.get("/health/ready")
        assert waiting.status_code == 503
        assert waiting.headers["Retry-After"] == "2"
        early = await client.post("/v1/trigger", files={"audio": b"x"})
        assert early.status_code == 503
        assert early.headers["Retry-After"] == "2"
        network.gate.set()
        while (ready := await client.get("/health/ready")).status_code == 503:
            await asyncio.sleep(0.002)  # an answer that needs no thread leaves the loop no time to load
        assert ready.json() == {"status": "ready"}
        assert sorted(set(network.batches)) == [1, 2, 4]


async def test_connections_may_wait_until_models_are_loaded(settings: Settings) -> None:
    gate = threading.Event()

    def load(path: Path, card: ModelCard) -> BeepModel:
        assert gate.wait(10)
        return BeepModel()

    app = create_app(settings.model_copy(update={"listen_when_ready": True}), loader=load)
    starting = asyncio.create_task(_first_readiness(app))
    await let_others_run(100)
    assert not starting.done()
    gate.set()
    assert await starting == 200


async def _first_readiness(app: FastAPI) -> int:
    async with started(app, ready=False) as client:
        return (await client.get("/health/ready")).status_code


async def test_load_balancers_may_send_head(client: httpx.AsyncClient) -> None:
    for path in ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"):
        assert (await client.head(path)).status_code == 200


async def test_metrics_count_requests(client: httpx.AsyncClient, two_beeps: bytes) -> None:
    await client.post("/v1/trigger", files={"audio": two_beeps})
    await client.get("/no/such/path")
    text = (await client.get("/metrics")).text
    assert 'trigger_api_requests_total{method="POST",route="/v1/trigger",status="200"} 1.0' in text
    assert 'trigger_api_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'trigger_api_batch_size_count{model="trigger/beep/1"}' in text
    assert "trigger_api_requests_in_flight 1.0" in text  # this one


async def test_the_documentation_loads_nothing_from_other_hosts(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert links
    assert all(link.startswith("/docs/assets/") for link in links)
    assert "http" not in re.sub(r"<!--.*?-->", "", page)
    for link in links:
        asset = await client.get(link)
        assert asset.status_code == 200
        assert len(asset.content) > 100


async def test_only_assets_of_the_documentation_are_served(client: httpx.AsyncClient) -> None:
    for name in ("..%2f..%2fpyproject.toml", "__init__.py", "nix.js"):
        assert (await client.get(f"/docs/assets/{name}")).status_code == 404


async def test_the_documentation_works_behind_a_proxy(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app, root_path="/speech")
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        assert 'src="/speech/docs/assets/swagger-ui-bundle.js"' in (await client.get("/speech/docs")).text
        assert (await client.get("/speech/openapi.json")).json()["servers"] == [{"url": "/speech"}]


async def test_the_openapi_document_describes_errors(client: httpx.AsyncClient) -> None:
    for _ in range(2):  # it is built once and kept
        document = (await client.get("/openapi.json")).json()
        for path, operations in document["paths"].items():
            kind = "application/json" if path.startswith("/v2") else "application/problem+json"
            for operation in operations.values():
                assert list(operation["responses"]["default"]["content"]) == [kind]
    assert document["paths"]["/v1/trigger"]["post"]["operationId"] == "detect"
    assert "servers" not in document
