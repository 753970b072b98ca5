from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from structlog.testing import capture_logs

from helpers.running import started
from trigger_api.errors import MalformedJson, Overloaded
from trigger_api.server import problems

SECRET = "a-path-or-secret"


class Body(BaseModel):
    count: int


@pytest.fixture
def faulty(app: FastAPI) -> FastAPI:
    """The application with routes that fail in every way."""

    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError(SECRET)

    @app.get("/busy")
    async def busy() -> None:
        raise Overloaded("later", retry_after=1.2)

    @app.post("/json")
    async def json(body: Body) -> None:
        raise MalformedJson

    return app


async def test_an_unexpected_error_reveals_only_the_request_id(faulty: FastAPI) -> None:
    async with started(faulty) as client:
        with capture_logs() as logs:
            response = await client.get("/boom", headers={"X-Request-ID": "find-me"})
    assert response.status_code == 500
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "internal error; see the server's log for this request_id",
        "request_id": "find-me",
        "success": False,
        "error": "internal error; see the server's log for this request_id",
    }
    assert SECRET not in response.text
    (failed,) = [line for line in logs if line["event"] == "request failed"]
    assert SECRET in str(failed["exc_info"])


async def test_overload_has_retry_after(faulty: FastAPI) -> None:
    async with started(faulty) as client:
        response = await client.get("/busy")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")


async def test_json_that_is_none_answers_the_originals_text(faulty: FastAPI) -> None:
    async with started(faulty) as client:
        for body in ("{", '{"count": 1}'):
            response = await client.post("/json", content=body, headers={"Content-Type": "application/json"})
            assert response.status_code == 400
            assert response.json()["error"] == "failed to parse json, invalid format"


async def test_a_wrong_value_is_named_but_not_repeated(faulty: FastAPI) -> None:
    async with started(faulty) as client:
        response = await client.post("/json", json={"count": SECRET})
    assert response.status_code == 422
    assert "body.count" in response.json()["detail"]
    assert SECRET not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [("GET", "/no/such/path", 404, "Not Found"), ("GET", "/v1/trigger", 405, "Method Not Allowed")],
)
async def test_an_unknown_path_is_a_problem_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, title: str
) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["title"] == title
    assert response.json()["request_id"] == response.headers["X-Request-ID"]
    if status == 405:
        assert response.headers["Allow"] == "POST"


def test_an_unknown_status_still_has_a_title() -> None:
    assert b'"title":"Error"' in problems.problem(499, "gone", request_id="").body


@pytest.mark.parametrize("path", ["/v2/models/nix/infer", "/v2/nix"])
async def test_errors_of_the_open_inference_protocol_are_plain_json(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post(path, json={"inputs": []})
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]
