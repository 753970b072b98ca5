"""The training of words through both clients."""

from __future__ import annotations

import json
from typing import Any

import httpx

from trigger_api.client import AsyncClient, Client

ID = "01890000-0000-7000-8000-000000000000"
STATUS: dict[str, Any] = {
    "id": ID, "word": "hey ada", "recordings": 1, "progress": 0.5, "doing": "training", "error": None,
    "model": None, "version": None, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
}  # fmt: skip


class Server:
    """Answers as a service does: a training is done when it is asked for a third time."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.body = b""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((request.method, request.url.path))
        match request.method, request.url.path:
            case "POST", "/v1/training":
                self.body = request.read()
                return httpx.Response(202, json={**STATUS, "status": "queued"})
            case "GET", "/v1/training":
                page = {"available": True, "advice": None, "items": [{**STATUS, "status": "running"}], "next": None}
                return httpx.Response(200, json=page)
            case "DELETE", _:
                return httpx.Response(204)
        asked = self.seen.count(("GET", request.url.path))
        return httpx.Response(200, content=json.dumps({**STATUS, "status": "running" if asked < 3 else "done"}))


def test_the_blocking_client() -> None:
    server = Server()
    with Client("http://service", transport=httpx.MockTransport(server)) as service:
        assert service.train_word("hey ada", [b"a recording"]).status == "queued"
        assert service.trainings(limit=1).items[0].word == "hey ada"
        assert service.wait_for_training(ID, every_s=0).status == "done"
        service.delete_training(ID)
    assert b"a recording" in server.body
    assert server.seen.count(("GET", f"/v1/training/{ID}")) == 3
    assert server.seen[-1] == ("DELETE", f"/v1/training/{ID}")


async def test_the_asynchronous_client() -> None:
    server = Server()
    async with AsyncClient("http://service", transport=httpx.MockTransport(server)) as service:
        assert (await service.train_word("hey ada", [b"a recording"])).status == "queued"
        assert (await service.trainings(limit=1)).items[0].word == "hey ada"
        assert (await service.wait_for_training(ID, every_s=0)).status == "done"
        await service.delete_training(ID)
    assert b"a recording" in server.body
    assert server.seen.count(("GET", f"/v1/training/{ID}")) == 3
