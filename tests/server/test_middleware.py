from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from helpers.beep import BeepModel, beeps, encode
from helpers.running import started
from helpers.until import let_others_run, until
from trigger_api.app import create_app
from trigger_api.server.middleware import Disconnect
from trigger_api.settings import Settings


class TestRequestLog:
    async def test_one_line_a_request_and_no_payload(self, client: httpx.AsyncClient, two_beeps: bytes) -> None:
        with capture_logs() as logs:
            await client.post("/v1/trigger", files={"audio": ("secret-name.wav", two_beeps)}, params={"q": "secret"})
        (line,) = logs
        assert line.pop("ms") > 0
        assert line == {
            "event": "request",
            "log_level": "info",
            "method": "POST",
            "route": "/v1/trigger",
            "status": 200,
        }

    @pytest.mark.parametrize(("given", "kept"), [("abc-1.2_Z", True), ("no spaces", False), ("x" * 65, False)])
    async def test_a_sane_request_id_is_kept(self, client: httpx.AsyncClient, given: str, kept: bool) -> None:
        response = await client.get("/health/live", headers={"X-Request-ID": given})
        assert (response.headers["X-Request-ID"] == given) is kept


class TestBodyLimit:
    @pytest.fixture
    async def small(self, settings: Settings, network: BeepModel) -> AsyncIterator[httpx.AsyncClient]:
        limited = settings.model_copy(update={"max_body_bytes": 1_000})
        async with started(create_app(limited, loader=lambda path, card: network)) as client:
            yield client

    async def test_a_declared_length_is_refused_unread(self, small: httpx.AsyncClient) -> None:
        async def body() -> AsyncIterator[bytes]:
            pytest.fail("the body was read")
            yield b""

        response = await small.post("/v1/trigger", content=body(), headers={"Content-Length": "1001"})
        assert response.status_code == 413
        assert response.json()["detail"] == "the request body is larger than 1000 bytes"
        assert response.json()["request_id"] == response.headers["X-Request-ID"]

    async def test_a_gigabyte_without_a_length_is_read_to_the_limit_only(self, small: httpx.AsyncClient) -> None:
        sent = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            yield b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a"\r\n\r\n'
            for _ in range(10_000):
                sent += 100_000
                yield bytes(100_000)

        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        response = await small.post("/v1/trigger", content=body(), headers=headers)
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert sent <= 200_000

    async def test_at_the_limit_is_fine(self, small: httpx.AsyncClient) -> None:
        response = await small.post("/predict", content=b"x" * 1_000, headers={"Content-Type": "text/plain"})
        assert response.status_code == 422


class TestDisconnect:
    async def test_a_disconnect_cancels_the_request_at_once(self, app: FastAPI, network: BeepModel) -> None:
        async with started(app):
            network.gate.clear()
            requests = [Exchange(app) for _ in range(6)]
            queue = app.state.service.registry.versions[0].model.queues[64]
            await until(lambda: queue.waiting)
            with capture_logs() as logs:
                for request in requests:
                    request.leave()
                done, pending = await asyncio.wait([request.task for request in requests], timeout=30)
            assert (len(done), len(pending)) == (6, 0)
            assert len(queue.waiting) == 0
            assert [line["status"] for line in logs] == [499] * 6
            assert not [message for request in requests for message in request.sent]
            network.gate.set()
            metrics = app.state.service.metrics.registry
            assert metrics.get_sample_value("trigger_api_requests_in_flight") == 0

    async def test_cleaning_up_after_a_response_is_not_cancelled(self) -> None:
        watched, cleaned = asyncio.Event(), asyncio.Event()

        async def inner(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await watched.wait()
            await send({"type": "http.response.body", "body": b"done"})
            await let_others_run()
            cleaned.set()

        asked, answered = 0, asyncio.Event()

        async def receive() -> Message:
            nonlocal asked
            asked += 1
            if asked == 1:
                return {"type": "http.request", "body": b"", "more_body": False}
            watched.set()
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                answered.set()

        await Disconnect(inner)({"type": "http"}, receive, send)
        assert cleaned.is_set()
        assert asked == 2

    async def test_a_quick_answer_is_not_watched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("trigger_api.server.middleware._WATCH_AFTER_S", 0.0)
        asked = 0

        async def inner(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})
            await let_others_run()

        async def receive() -> Message:
            nonlocal asked
            asked += 1
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            pass

        await Disconnect(inner)({"type": "http"}, receive, send)
        assert asked == 1

    async def test_a_cancellation_from_elsewhere_is_answered(self, app: FastAPI, network: BeepModel) -> None:
        async with started(app):
            network.gate.clear()
            request = Exchange(app)
            queue = app.state.service.registry.versions[0].model.queues[64]
            await until(lambda: queue.running)
            request.task.cancel()
            await request.task  # raised again, it would be logged as a fault of ours
            assert request.sent[0]["status"] == 503  # the server gave up on it: its client may come back
            assert b"the server is shutting down" in request.sent[1]["body"]
            network.gate.set()

    async def test_other_scopes_pass_through(self, app: FastAPI) -> None:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/nix", "headers": [], "query_string": b"", "subprotocols": []}
        await app(scope, receive, send)
        assert sent[0]["type"] == "websocket.close"


class Exchange:
    """One upload, spoken in bare ASGI so that the client can leave in the middle."""

    def __init__(self, app: FastAPI) -> None:
        request = httpx.Request("POST", "http://localhost/v1/trigger", files={"audio": encode(beeps([1], seconds=5))})
        self._body = request.read()
        self._gone = asyncio.Event()
        self._asked = 0
        self.sent: list[Message] = []
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/trigger",
            "raw_path": b"/v1/trigger",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
            "scheme": "http",
            "http_version": "1.1",
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    def leave(self) -> None:
        self._gone.set()

    async def _receive(self) -> Message:
        self._asked += 1
        if self._asked == 1:
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


async def test_cors_is_off_unless_set(settings: Settings, network: BeepModel) -> None:
    for origins, allowed in (((), None), (("https://app.example",), "https://app.example")):
        app = create_app(settings.model_copy(update={"cors_origins": origins}), loader=lambda path, card: network)
        async with started(app) as client:
            headers = {"Origin": "https://app.example"}
            response = await client.get("/no/such/path", headers=headers)
            assert response.headers.get("access-control-allow-origin") == allowed
