"""The history when its database, its server or its disk fails: predictions go on, and what was saved stays saved."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from helpers.beep import beeps, encode
from helpers.people import accounts_app, another, join, log_in, running
from helpers.postgresql import Cluster
from helpers.service_process import await_ready, free_port
from trigger_api.cli.db import _copy
from trigger_api.registry import BUNDLED
from trigger_api.settings import Settings
from trigger_api.storage import engine
from trigger_api.storage.database import Database

pytestmark = pytest.mark.usefixtures("quick_passwords")
TOKEN = {"X-Api-Token": "of-the-settings"}
AUDIO = encode(beeps([1.0], seconds=2, rate=8_000), 8_000)
ROOM = 12  # pages of the database: more than a prediction takes, and less than a dozen


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trigger_api.storage.database._RETRY_S", 0.05)
    monkeypatch.setattr("trigger_api.storage.database._PAUSE_S", 0.05)


async def predict(client: httpx.AsyncClient, save: bool | None = True) -> httpx.Response:
    params = {} if save is None else {"save": save}
    return await client.post("/v1/trigger", files={"audio": AUDIO}, params=params)


async def ids(client: httpx.AsyncClient) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, str | int] = {"limit": 100, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/v1/history", params=query)).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return found


@contextmanager
def process(url: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server of its own, with one of the bundled words; it is killed at the end if it still runs."""
    port = free_port()
    env = {
        "TRIGGER_API_DATABASE_URL": url, "TRIGGER_API_TOKENS": TOKEN["X-Api-Token"], "TRIGGER_API_LOG_LEVEL": "error",
        "TRIGGER_API_BUNDLED": "false", "TRIGGER_API_MODELS": str(BUNDLED / "trigger" / "activate"),
    }  # fmt: skip
    command = [sys.executable, "-m", "trigger_api", "serve", "--port", str(port)]
    server = subprocess.Popen(command, env={**os.environ, **env})
    try:
        await_ready(server, f"http://127.0.0.1:{port}")
        yield server, f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait(30)


async def write_until_killed(url: str, server: subprocess.Popen[bytes], clients: int, answers: int) -> list[str]:
    """The ids that were acknowledged before the server was killed, which it is in the midst of the others."""
    saved: list[str] = []

    async def write(http: httpx.AsyncClient) -> None:
        while True:
            try:
                answer = await predict(http)
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                saved.append(answer.json()["history_id"])
            if len(saved) == answers:
                server.send_signal(signal.SIGKILL)

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, headers=TOKEN, limits=limits, timeout=60) as http:
        await asyncio.gather(*(write(http) for _ in range(clients)))
    return saved


@pytest.mark.slow
async def test_a_server_is_killed_while_fifty_clients_write(database_url: str) -> None:
    with process(database_url) as (server, url):
        saved = await write_until_killed(url, server, clients=50, answers=200)
    assert len(saved) >= 200
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with process(database_url) as (_, url):
        async with httpx.AsyncClient(base_url=url, headers=TOKEN, timeout=60) as http:
            assert set(saved) <= set(await ids(http))
            for one in (saved[0], saved[-1]):
                assert (await http.get(f"/v1/history/{one}/media")).content == AUDIO
            assert (await predict(http)).json()["saved"]


async def test_postgresql_stops_and_starts_under_load(settings: Settings, cluster: Cluster) -> None:
    app = accounts_app(settings, cluster.create_database(), auth="token", tokens=TOKEN["X-Api-Token"])
    async with running(app) as client:
        client.headers.update(TOKEN)
        stop, answers = asyncio.Event(), list[httpx.Response]()

        async def load() -> None:
            while not stop.is_set():
                answers.append(await predict(client))

        working = [asyncio.create_task(load()) for _ in range(4)]
        saved = [(await predict(client)).json()["history_id"]]
        await asyncio.to_thread(cluster.stop)
        try:
            refused = await predict(client)
            assert (refused.status_code, refused.json()["answer"]["detected"]) == (503, True)
            assert "Retry-After" in refused.headers
            plain = await predict(client, save=None)
            assert (plain.status_code, plain.json()["detected"]) == (200, True)
            assert (await client.get("/v1/history")).status_code == 503
            assert (await client.get(f"/v1/history/{saved[0]}")).status_code == 503
        finally:
            await asyncio.to_thread(cluster.start)
        while (again := await predict(client)).status_code != 200:
            assert again.status_code == 503
        stop.set()
        await asyncio.gather(*working)
        assert {answer.status_code for answer in answers} == {200, 503}
        assert all(answer.json().get("answer", answer.json())["detected"] for answer in answers)
        saved += [answer.json()["history_id"] for answer in (again, *answers) if answer.status_code == 200]
        assert set(saved) <= set(await ids(client))


async def test_whoever_keeps_everything_is_told_when_it_is_not_kept(settings: Settings, cluster: Cluster) -> None:
    async with running(accounts_app(settings, cluster.create_database())) as client:
        await join(client)
        await client.patch("/v1/accounts/me", json={"keeps_history": True})
        assert (await predict(client, None)).json()["saved"]
        cluster.stop()
        try:
            answer = await predict(client, None)
            assert (answer.status_code, answer.json()["detected"], answer.json()["saved"]) == (200, True, False)
            assert "unavailable" in answer.json()["save_error"]
        finally:
            cluster.start()


async def test_a_full_disk(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/d.sqlite3"
    database = Database(url)
    await database.migrate()
    await database.close()
    with closing(sqlite3.connect(tmp_path / "d.sqlite3")) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    monkeypatch.setattr(engine, "_PRAGMAS", (*engine._PRAGMAS, f"max_page_count = {pages + ROOM}"))
    app = accounts_app(settings, url)
    async with running(app) as client:
        await join(client)
        answers = [await predict(client) for _ in range(12)]
        assert [answers[0].status_code, answers[-1].status_code] == [200, 507]
        assert "disk is full" in answers[-1].json()["detail"]
        assert answers[-1].json()["answer"]["detected"]
        saved = [answer.json()["history_id"] for answer in answers if answer.status_code == 200]
        await client.patch("/v1/accounts/me", json={"keeps_history": True})
        assert (await client.post("/v1/jobs", files={"audio": bytes(100_000)})).status_code == 507
        plain = await client.post("/v1/trigger", files={"audio": AUDIO})
        assert plain.json()["detected"]
        assert await ids(client) == saved[::-1]
        stored = (await client.get("/v1/accounts/me")).json()["stored_bytes"]
        assert stored < (len(saved) + 1) * (len(AUDIO) + 1_000)
        monkeypatch.setattr(engine, "_PRAGMAS", engine._PRAGMAS[:-1])
        await app.state.service.database.engine.dispose()
        app.state.service.database._blocking.dispose()
        assert (await predict(client)).status_code == 200


async def test_two_servers_on_one_database(settings: Settings, emptied_url: str) -> None:
    async with (
        running(accounts_app(settings, emptied_url)) as here,
        running(accounts_app(settings, emptied_url)) as there,
    ):
        await join(here)
        await log_in(there)
        answers = await asyncio.gather(*(predict(each) for each in (here, there) * 20))
        saved = {answer.json()["history_id"] for answer in answers}
        assert len(saved) == 40
        assert set(await ids(here)) == set(await ids(there)) == saved
        stored = (await here.get("/v1/accounts/me")).json()["stored_bytes"]
        await asyncio.gather(*(each.delete("/v1/history", params={"everything": True}) for each in (here, there)))
        assert stored > 40 * len(AUDIO)
        assert (await there.get("/v1/accounts/me")).json()["stored_bytes"] == 0


def restore(backup: Path, path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()
    shutil.copy(backup, path)


async def test_a_backup_is_restored(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite3"
    async with running(accounts_app(settings, f"sqlite:///{path}")) as client:
        await join(client)
        saved = [(await predict(client)).json()["history_id"] for _ in range(3)]
        await asyncio.to_thread(_copy, path, tmp_path / "backup.sqlite3")
        lost = (await predict(client)).json()["history_id"]
    restore(tmp_path / "backup.sqlite3", path)
    async with running(accounts_app(settings, f"sqlite:///{path}")) as client:
        await log_in(client)
        assert await ids(client) == saved[::-1]
        assert (await client.get(f"/v1/history/{saved[0]}/media")).content == AUDIO
        assert (await client.get(f"/v1/history/{lost}")).status_code == 404


async def test_a_backup_of_postgresql_is_restored(settings: Settings, cluster: Cluster) -> None:
    first, second = cluster.create_database(), cluster.create_database()
    async with running(accounts_app(settings, first)) as client:
        await join(client)
        saved = (await predict(client)).json()["history_id"]
    cluster.copy(first, second)
    async with running(accounts_app(settings, second)) as client:
        await log_in(client)
        assert (await client.get(f"/v1/history/{saved}/media")).content == AUDIO
        assert (await another(client).get(f"/v1/history/{saved}")).status_code == 401
