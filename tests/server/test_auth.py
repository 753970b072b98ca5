from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from helpers.beep import BeepModel
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.server.auth import _SCOPE_OF_TAG, PUBLIC_PATHS, is_loopback, resolve_caller
from trigger_api.settings import Settings
from trigger_api.web.pages import PATHS

TOKEN = "correct-horse"


@pytest.fixture
def guarded(settings: Settings, network: BeepModel) -> FastAPI:
    update = {"tokens": Settings(tokens=f"other, {TOKEN}").tokens}
    return create_app(settings.model_copy(update=update), loader=lambda path, card: network)


def walk(routes: Iterable[Any]) -> Iterator[Any]:
    """Every route, those of included routers too."""
    for route in routes:
        included = getattr(route, "original_router", None)
        yield from walk(included.routes) if included else [route]


def routes(app: FastAPI) -> list[tuple[str, str]]:
    found = [route for route in walk(app.routes) if isinstance(route, APIRoute)]
    assert len(found) > 50
    return [(method, route.path) for route in found for method in route.methods or ()]


LOG_IN = {("POST", "/v1/sessions"), ("POST", "/v1/accounts/reset")}


def is_page(method: str, path: str) -> bool:
    """Pages show nothing by themselves; where everybody has to log in, they lead to where one does."""
    is_shown = path in PATHS or path == "/upload-image" or path.startswith("/static/")
    return method in ("GET", "HEAD") and is_shown


async def test_every_route_except_health_probes_requires_a_token(guarded: FastAPI) -> None:
    async with started(guarded) as client:
        document = guarded.openapi()["paths"]
        every = {(method.upper(), path) for path in document for method in document[path]}
        every |= {("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/docs/assets/{name}")} | set(routes(guarded))
        assert len(every) >= 8
        for method, path in every:
            status = (await client.request(method, path)).status_code
            public = path in PUBLIC_PATHS or (method, path) in LOG_IN or is_page(method, path)
            assert (status == 401) == (not public), (method, path, status)


async def test_where_it_is_required_every_route_wants_a_token(settings: Settings, network: BeepModel) -> None:
    """Of this machine's own user as well; only what leads to one is public."""
    required = settings.model_copy(update={"auth": "required"})
    app = create_app(required, loader=lambda path, card: network)
    public = {*PUBLIC_PATHS, "/docs", "/docs/assets/{name}", "/openapi.json"}
    async with started(app) as client:
        for method, path in set(routes(app)):
            status = (await client.request(method, path)).status_code
            is_public = path in public or (method, path) in LOG_IN or is_page(method, path)
            assert (status == 401) == (not is_public), (method, path, status)


def test_where_it_is_required_a_websocket_wants_a_token(settings: Settings, network: BeepModel) -> None:
    required = settings.model_copy(update={"auth": "required"})
    app = create_app(required, loader=lambda path, card: network)
    sockets = [route.path for route in walk(app.routes) if isinstance(route, APIWebSocketRoute)]
    assert sockets
    with TestClient(app, client=("127.0.0.1", 1)) as client:
        for path in sockets:
            with pytest.raises(WebSocketDenialResponse) as raised, client.websocket_connect(path):
                pytest.fail("it was accepted")
            assert raised.value.status_code == 401


def test_an_invalid_token_does_not_open_the_door_to_pages_of_other_sites(app: FastAPI) -> None:
    """A page can offer any subprotocol, and so any token, to a server that wants none of its own machine."""
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        for subprotocols in ([], ["trigger-api", "bearer.invented"]):
            socket = client.websocket_connect(
                "ws://127.0.0.1/v1/trigger/stream", subprotocols, headers={"Origin": "https://evil.example"}
            )
            with pytest.raises(WebSocketDenialResponse) as raised, socket:
                pytest.fail("it was accepted")
            assert raised.value.status_code == 403


def test_the_scope_of_every_route_is_known(app: FastAPI) -> None:
    tags = {str(route.tags[0]) for route in walk(app.routes) if isinstance(route, APIRoute)}
    assert {"rooms", "history", "models", "training", "accounts", "system"} == tags & set(_SCOPE_OF_TAG)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Api-Token": TOKEN},
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN}"},
        {"X-Api-Token": "a proxy's", "Authorization": f"Bearer {TOKEN}"},
    ],
)
async def test_either_header_carries_the_token(guarded: FastAPI, headers: dict[str, str]) -> None:
    async with started(guarded, host="203.0.113.7") as client:
        assert (await client.get("/metrics", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Api-Token": ""},
        {"X-Api-Token": "wrong"},
        {"X-Api-Token": "ä"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
    ],
)
async def test_anything_else_does_not(guarded: FastAPI, headers: dict[str, str]) -> None:
    async with started(guarded) as client:
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        response = await client.get("/metrics", headers=encoded)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["status"] == 401
    assert TOKEN not in response.text


async def test_without_tokens_only_loopback_is_let_in(app: FastAPI) -> None:
    async with started(app, host="203.0.113.7") as client:
        assert (await client.get("/metrics")).status_code == 401
    async with started(app, host="::1") as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/metrics", headers={"X-Api-Token": "of another server"})).status_code == 200


async def test_probes_need_no_token_behind_a_proxy_either(guarded: FastAPI) -> None:
    transport = httpx.ASGITransport(guarded, root_path="/speech", client=("203.0.113.7", 1))
    async with guarded.router.lifespan_context(guarded), httpx.AsyncClient(transport=transport) as client:
        assert (await client.get("http://x/speech/health/live")).status_code == 200
        assert (await client.get("http://x/speech/metrics")).status_code == 401


async def test_a_strangers_upload_is_not_read(guarded: FastAPI) -> None:
    async def body() -> AsyncIterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    async with started(guarded) as client:
        response = await client.post("/v1/trigger", content=body())
    assert response.status_code == 401
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("name", "status"),
    [("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example:8000", 401), ("192.0.2.1", 401)],
)
async def test_a_strangers_name_for_this_machine_is_not_local(app: FastAPI, name: str, status: int) -> None:
    async with started(app) as client:
        assert (await client.get("/metrics", headers={"Host": name})).status_code == status


async def test_open_lets_everybody_in(settings: Settings, network: BeepModel) -> None:
    app = create_app(settings.model_copy(update={"auth": "open"}), loader=lambda path, card: network)
    async with started(app, host="203.0.113.7") as client:
        assert (await client.get("/metrics")).status_code == 200


async def test_a_unix_socket_is_local(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app, client=None)  # type: ignore[arg-type]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        assert (await client.get("/metrics")).status_code == 200


@pytest.mark.parametrize(
    ("hosts", "local"),
    [
        (["127.0.0.1"], True),
        (["127.8.8.8", "::1", "localhost"], True),
        (["0.0.0.0"], False),  # noqa: S104
        (["::"], False),
        (["192.0.2.1"], False),
        (["example.org"], False),
    ],
)
def test_is_loopback(hosts: list[str], local: bool) -> None:
    assert is_loopback(hosts) is local


class TestAdministrators:
    LOAD = "/v1/models/beep/load"

    async def test_a_token_is_not_an_administrators(self, settings: Settings, network: BeepModel) -> None:
        tokens = Settings(tokens="user", admin_tokens="admin")
        update = {"tokens": tokens.tokens, "admin_tokens": tokens.admin_tokens}
        app = create_app(settings.model_copy(update=update), loader=lambda path, card: network)
        async with started(app) as client:
            for token, status in (("user", 403), ("admin", 200), ("nobody", 401)):
                response = await client.post(self.LOAD, headers={"X-Api-Token": token})
                assert response.status_code == status

    async def test_without_tokens_the_machines_own_user_is_one(self, app: FastAPI) -> None:
        async with started(app) as client:
            assert (await client.post(self.LOAD)).status_code == 200

    async def test_another_sites_page_is_none(self, app: FastAPI) -> None:
        async with started(app) as client:
            for origin, status in (("http://evil.example", 403), ("http://localhost", 200)):
                assert (await client.post(self.LOAD, headers={"Origin": origin})).status_code == status
            for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
                assert (await client.post(self.LOAD, headers={"Sec-Fetch-Site": site})).status_code == status

    def test_an_open_door_lets_no_administrator_in(self) -> None:
        caller = resolve_caller(None, ["127.0.0.1"], Settings(auth="open"))
        assert caller is not None
        assert not caller.admin
