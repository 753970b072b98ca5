"""Every operation of the Open Inference Protocol's REST chapter, against its shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI

from helpers import oip
from helpers.running import serving

MODELS = {"beep": [("embeddings", [1, 10, 2])], "beep-embedding": [("mel", [1, 8, 32]), ("state", [1, 1])]}


@pytest.fixture
def http(app: FastAPI) -> Iterator[httpx.Client]:
    with serving(app) as address, httpx.Client(base_url=f"http://{address}") as client:
        yield client


def check(response: httpx.Response, status: int, schema: dict[str, Any]) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    jsonschema_rs.validate(schema, response.json())


def infer(name: str, **members: Any) -> dict[str, Any]:
    inputs = [
        {"name": tensor, "shape": shape, "datatype": "FP32", "data": [0.5] * shape[0] * shape[1] * ([*shape, 1])[2]}
        for tensor, shape in MODELS[name]
    ]
    return {"inputs": inputs, **members}


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2/models/beep/versions/1/ready"])
def test_health(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_metadata(http: httpx.Client, path: str) -> None:
    check(http.get(path), 200, oip.SERVER)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_model_metadata_and_inference(http: httpx.Client, name: str, version: str) -> None:
    check(http.get(f"/v2/models/{name}{version}"), 200, oip.MODEL)
    for members in ({}, {"id": "42"}, {"parameters": {"priority": 1}}):
        check(http.post(f"/v2/models/{name}{version}/infer", json=infer(name, **members)), 200, oip.INFERENCE)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "{}",
        '{"inputs": []}',
        '{"inputs": [{}]}',
        '{"inputs": [{"name": "mel", "shape": [1], "datatype": "FP32", "data": [null]}]}',
        '{"inputs": [{"name": "mel", "shape": [-1], "datatype": "FP32", "data": []}]}',
        '{"inputs": [{"name": "mel", "shape": [1], "datatype": "BOOL", "data": [true]}]}',
        '{"inputs": [{"name": "mel", "shape": [1], "datatype": "FP32", "data": ["x", true]}]}',
        '{"id": 42, "inputs": []}',
        '{"inputs": [], "outputs": [{"name": 3}]}',
    ],
)
def test_a_bad_request_is_answered_400(http: httpx.Client, body: str) -> None:
    check(http.post("/v2/models/beep/versions/1/infer", content=body), 400, oip.ERROR)


@pytest.mark.parametrize("path", ["/v2/models/nix", "/v2/models/beep/versions/9", "/v2/models/nix/ready", "/v2/nix"])
def test_what_is_not_there_has_an_error_too(http: httpx.Client, path: str) -> None:
    check(http.get(path), 404, oip.ERROR)
