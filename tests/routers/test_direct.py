from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request

from helpers.beep import BeepModel
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.routers import direct, v2
from trigger_api.settings import Settings

INFER = "/v2/models/beep/infer"
TENSOR = {"name": "embeddings", "shape": [1, 10, 2], "datatype": "FP32", "data": [0.5] * 20}
BODY = json.dumps({"inputs": [TENSOR]}).encode()
REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"content": BODY},
    "with a content type": {"content": BODY, "headers": {"Content-Type": "application/json"}},
    "with an id": {"content": BODY[:-1] + b', "id": "7"}'},
    "a version": {"content": BODY, "url": "/v2/models/beep/versions/1/infer"},
    "compressed": {"content": gzip.compress(BODY), "headers": {"Content-Encoding": "gzip"}},
    "damaged gzip": {"content": BODY, "headers": {"Content-Encoding": "gzip"}},
    "UTF-16": {"content": BODY.decode().encode("utf-16"), "headers": {"Content-Type": "application/json"}},
    "no UTF-8": {"content": b'{"\xff', "headers": {"Content-Type": "application/json"}},
    "not JSON": {"content": b"{"},
    "no body": {},
    "no inputs": {"content": b'{"inputs": []}'},
    "a wrong shape": {"content": BODY.replace(b"[1, 10, 2]", b"[1, 2, 10]")},
    "another number of values": {"content": BODY.replace(b"10", b"11")},
    "another type": {"content": BODY.replace(b"FP32", b"FP16")},
    "no such model": {"content": BODY, "url": "/v2/models/nix/infer"},
    "no such version": {"content": BODY, "url": "/v2/models/beep/versions/9/infer"},
    "a name in two pieces": {"content": BODY, "url": "/v2/models/a%2Fb/infer"},
    "another path": {"content": BODY, "url": f"{INFER}/"},
    "another method": {"method": "PUT", "content": BODY},
    "too large": {"content": b" " * 100_001},
    "in pieces": {"content": BODY, "pieces": True},
    "a bad length": {"content": BODY, "headers": {"Inference-Header-Content-Length": "x"}},
    "save": {"content": BODY, "params": {"save": "perhaps"}},
    "saved nowhere": {"content": BODY, "params": {"save": "true"}},
    "no token": {"content": BODY, "headers": {"X-Api-Token": "nix"}},
    "an administrator's token": {"content": BODY, "headers": {"Authorization": "Bearer admin"}},
}


@pytest.fixture
def settings(models: Any) -> Settings:
    return Settings(models=models, bundled=False, tokens=("secret",), admin_tokens=("admin",), max_body_bytes=100_000)


@pytest.fixture
async def by_fastapi(
    settings: Settings, network: BeepModel, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that dispatches nothing directly."""
    monkeypatch.setattr(v2, "DIRECT", [])
    async with started(create_app(settings, loader=lambda path, card: network)) as http:
        yield http


@pytest.mark.parametrize("what", REQUESTS)
async def test_fastapi_would_answer_the_same(app: FastAPI, what: str, by_fastapi: httpx.AsyncClient) -> None:
    async with started(app) as http:
        own, theirs = await ask(http, **REQUESTS[what]), await ask(by_fastapi, **REQUESTS[what])
    assert own == theirs


async def test_fastapi_is_not_asked(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(APIRoute, "handle", None)
    assert (await client.post(INFER, content=BODY, headers={"X-Api-Token": "secret"})).status_code == 200


async def ask(http: httpx.AsyncClient, **request: Any) -> dict[str, Any]:
    """What matters of an answer."""
    sent = {"method": "POST", "url": INFER, **request}
    headers = {"X-Api-Token": "secret", "X-Request-ID": "7", **sent.pop("headers", {})}
    if sent.pop("pieces", False):
        sent["content"] = pieces(sent["content"])
    response = await http.request(**sent, headers=headers)
    counted = [line for line in (await http.get("/metrics", headers=headers)).text.splitlines() if "/infer" in line]
    counts = [line for line in counted if line.startswith("trigger_api_requests_total")]
    return {
        "status": response.status_code,
        "headers": dict(response.headers),
        "body": response.content,
        "counted": counts,
    }


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body[:50]
    yield body[50:]


async def test_a_client_that_leaves_early() -> None:
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    with pytest.raises(ClientDisconnect):
        await direct.read_body(Request({"type": "http"}, receive))


async def test_the_openapi_document_describes_the_body(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json", headers={"X-Api-Token": "secret"})).json()
    body = document["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]["application/json"]
    validator = jsonschema_rs.validator_for({**body["schema"], "components": document["components"]})
    assert validator.is_valid(json.loads(BODY))
    assert not validator.is_valid({"inputs": []})
    assert not validator.is_valid({"inputs": [{**TENSOR, "shape": "1"}]})
