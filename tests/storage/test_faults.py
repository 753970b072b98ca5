"""A service whose database fails: predictions go on, what needs the database says so, and all is well afterwards."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from helpers.people import PASSWORD, accounts_app, another, join, log_in, running, token_of
from helpers.postgresql import Cluster
from helpers.service_process import service_process
from helpers.until import until
from trigger_api.settings import Settings
from trigger_api.storage import engine
from trigger_api.storage.database import Database

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trigger_api.storage.database._RETRY_S", 0.05)
    monkeypatch.setattr("trigger_api.storage.database._PAUSE_S", 0.05)


async def status(client: httpx.AsyncClient, path: str = "/v1/accounts/me") -> int:
    return (await client.get(path)).status_code


async def test_postgresql_is_away_when_the_service_starts(
    settings: Settings, cluster: Cluster, two_beeps: bytes
) -> None:
    url = cluster.create_database()
    cluster.stop()
    try:
        app = accounts_app(settings, url, tokens="of-the-settings")
        async with running(app) as client:
            headers = {"X-Api-Token": "of-the-settings"}
            answer = await client.post("/v1/trigger", files={"audio": two_beeps}, headers=headers)
            assert answer.status_code == 200
            refused = await client.post("/v1/sessions", json={"name": "ada", "password": PASSWORD})
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
            assert refused.headers["Content-Type"] == "application/problem+json"
            cluster.ensure_started()
            await until(lambda: app.state.service.database.is_open)
            await join(client)
            assert await status(client) == 200
    finally:
        cluster.ensure_started()


async def test_postgresql_stops_and_starts_under_the_service(
    settings: Settings, cluster: Cluster, two_beeps: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = accounts_app(settings, cluster.create_database())
    async with running(app) as client:
        await join(client)
        script, unknown = another(client), another(client)
        script.headers["X-Api-Token"] = (await token_of(client))["token"]
        unknown.headers["X-Api-Token"] = "tat_" + "A" * 43
        assert await status(script, "/v1/models") == 200
        monkeypatch.setattr("trigger_api.accounts.identities._FRESH_S", 0)
        cluster.stop()
        try:
            answer = await script.post("/v1/trigger", files={"audio": two_beeps})
            assert answer.status_code == 200  # known from before
            assert await status(unknown, "/v1/models") == 503  # neither known nor unknown now
            assert await status(client) == 503
            assert await status(client, "/health/ready") == 200
        finally:
            cluster.start()
        while await status(client) != 200:
            pass
        assert await status(unknown, "/v1/models") == 401


async def test_whoever_needs_no_token_is_let_in_without_their_cookie(settings: Settings, cluster: Cluster) -> None:
    app = accounts_app(settings, cluster.create_database(), auth="token", sign_up="callers")
    async with running(app, host="127.0.0.1", url="http://localhost") as client:
        await join(client)
        app.state.accounts._identities._known.clear()
        cluster.stop()
        try:
            assert await status(client, "/v1/models") == 200
            assert await status(client) == 503
        finally:
            cluster.start()


async def test_a_full_disk_is_told(
    settings: Settings, tmp_path: Path, two_beeps: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/database.sqlite3"
    database = Database(url)
    await database.migrate()
    await database.close()
    # The file may not grow: the number becomes that of the pages in use.
    monkeypatch.setattr(engine, "_PRAGMAS", (*engine._PRAGMAS, "max_page_count = 1"))
    app = accounts_app(settings, url)
    async with running(app) as client:
        await join(client)
        answers = [await client.post("/v1/tokens", json={"name": "n" * 64}) for _ in range(95)]
        assert [answer.status_code for answer in (answers[0], answers[-1])] == [201, 507]
        assert "disk is full" in answers[-1].json()["detail"]
        assert (await client.post("/v1/trigger", files={"audio": two_beeps})).status_code == 200
        assert await status(client) == 200  # what is there can be read
        monkeypatch.setattr(engine, "_PRAGMAS", engine._PRAGMAS[:-1])
        await app.state.service.database.engine.dispose()
        await token_of(client)


async def test_a_folder_that_cannot_be_written(settings: Settings, two_beeps: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    app = accounts_app(settings, f"sqlite:///{tmp_path}/file/database.sqlite3", tokens="of-the-settings")
    async with running(app) as client:
        client.headers["X-Api-Token"] = "of-the-settings"
        assert (await client.post("/v1/trigger", files={"audio": two_beeps})).status_code == 200
        answer = await client.post("/v1/sessions", json={"name": "ada", "password": PASSWORD})
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text


async def test_two_servers_on_one_database(settings: Settings, database_url: str) -> None:
    """What one does, the other sees: at once, or after the seconds for which it remembers."""
    app = accounts_app(settings, database_url)
    async with running(app) as here, running(accounts_app(settings, database_url)) as there:
        await join(here)
        there.cookies.update(here.cookies)
        assert await status(there) == 200
        script = another(there)
        made = await token_of(here)
        script.headers["X-Api-Token"] = made["token"]
        assert await status(script, "/v1/models") == 200
        await here.delete(f"/v1/tokens/{made['id']}")
        await here.delete("/v1/sessions/current")
        there._transport.app.state.accounts._identities._known.clear()  # type: ignore[attr-defined]
        assert await status(script, "/v1/models") == 401
        assert await status(there) == 401


async def test_a_backup_of_postgresql_is_restored(settings: Settings, cluster: Cluster) -> None:
    first, second = cluster.create_database(), cluster.create_database()
    async with running(accounts_app(settings, first)) as client:
        await join(client)
    cluster.copy(first, second)
    async with running(accounts_app(settings, second)) as client:
        await log_in(client)
        assert await status(client) == 200


@pytest.mark.slow
def test_two_processes_start_at_once_on_an_empty_database(database_url: str, models: Path) -> None:
    env = {
        "TRIGGER_API_DATABASE_URL": database_url, "TRIGGER_API_BUNDLED": "false", "TRIGGER_API_SIGN_UP": "callers",
        "TRIGGER_API_AUTH": "token",
    }  # fmt: skip
    with service_process("serve", "--workers", "2", env=env) as url:
        body = {"name": "ada", "password": PASSWORD}
        assert httpx.post(f"{url}/v1/accounts", json=body).status_code == 201
        for _ in range(4):  # whichever of the two answers
            assert httpx.post(f"{url}/v1/sessions", json=body).status_code == 201
