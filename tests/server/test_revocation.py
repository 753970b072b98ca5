"""What is open ends with the token or the session that opened it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from helpers.live_server import Server, answer, everything, running
from helpers.people import PASSWORD, accounts_app
from trigger_api.accounts import identities
from trigger_api.server import revocation
from trigger_api.settings import Settings
from trigger_api.storage.tables import Token, now

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "_LOOK_S", 0.05)
    monkeypatch.setattr(identities, "_FRESH_S", 0.1)


@pytest.fixture
async def server(settings: Settings, tmp_path: Path) -> AsyncIterator[Server]:
    async with running(accounts_app(settings, f"sqlite:///{tmp_path}/database.sqlite3", log_level="warning")) as made:
        await made.service.accounts.users.create(name="ada", password=PASSWORD)
        yield made


async def token_of(server: Server) -> tuple[str, UUID]:
    """A token of Ada's that may stream, and its id."""
    accounts = server.service.accounts
    user = await accounts.users.find("ada")
    secret, row = await accounts.tokens.create(user.id, name="room", scopes=("stream",), expires_at=None)
    return secret, row.id


async def revoke(server: Server, token_id: UUID) -> None:
    """Revoke one of Ada's tokens."""
    user = await server.service.accounts.users.find("ada")
    await server.service.accounts.tokens.revoke(user.id, token_id)


async def expire(server: Server, token_id: UUID) -> None:
    """Let a token expire, as if another server had made it so."""
    async with server.service.database.write() as session:
        past = now() - timedelta(seconds=1)
        await session.execute(update(Token).where(Token.id == token_id).values(expires_at=past))


@pytest.mark.parametrize("end", [revoke, expire])
async def test_a_stream_of_audio_is_closed(server: Server, end: Any) -> None:
    secret, token_id = await token_of(server)
    async with server.stream(additional_headers={"X-Api-Token": secret}) as socket:
        assert (await answer(socket))["type"] == "ready"
        await socket.send(bytes(2560))
        await asyncio.sleep(0.3)
        assert socket.close_code is None
        await end(server, token_id)
        messages = await everything(socket)
        assert (messages[-1]["type"], messages[-1]["code"]) == ("error", "unauthenticated")
        assert socket.close_code == 1008


@pytest.mark.parametrize("end", [revoke, expire])
async def test_events_end(server: Server, end: Any) -> None:
    secret, token_id = await token_of(server)
    async with server.http() as client, asyncio.timeout(20):
        async with client.stream("GET", "/v1/trigger/events", headers={"X-Api-Token": secret}) as events:
            lines = events.aiter_lines()
            assert await anext(lines) == ": listening"
            await end(server, token_id)
            async for _ in lines:
                pass
        assert server.service.rooms.events.subscribers == 0


async def test_what_a_session_opened_ends_with_it(server: Server) -> None:
    async with server.http() as client, asyncio.timeout(20):
        made = await client.post("/v1/sessions", json={"name": "ada", "password": PASSWORD})
        assert made.status_code == 201, made.text
        cookie = {"Cookie": made.headers["set-cookie"].split(";")[0]}
        async with client.stream("GET", "/v1/trigger/events", headers=cookie) as events:
            assert await anext(events.aiter_lines()) == ": listening"
            async with server.stream(additional_headers=cookie) as socket:
                assert (await answer(socket))["type"] == "ready"
                assert (await client.delete("/v1/sessions/current", headers=cookie)).status_code == 204
                assert (await everything(socket))[-1]["code"] == "unauthenticated"
            with pytest.raises(httpx.StreamConsumed):  # it has ended, and there is nothing more
                await events.aread()


async def test_what_needs_no_account_goes_on(settings: Settings) -> None:
    app = accounts_app(settings, "none", auth="open", log_level="warning")
    async with running(app) as server, server.stream() as socket:
        assert (await answer(socket))["type"] == "ready"
        await asyncio.sleep(0.3)
        assert socket.close_code is None
