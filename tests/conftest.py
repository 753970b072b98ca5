"""Fixtures that tests of several packages share."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from helpers.beep import BeepModel, add_model, beeps, encode, trigger_card
from helpers.doubler import Doubler
from helpers.postgresql import Cluster
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.scheduler import Scheduler
from trigger_api.settings import Settings
from trigger_api.storage.database import Database


@pytest.fixture
def network() -> BeepModel:
    """The network behind the application's model."""
    return BeepModel()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the machine that runs the tests stay out of them."""
    import os

    for name in [name for name in os.environ if name.startswith("TRIGGER_API_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRIGGER_API_DATABASE_URL", "none")  # but for the tests of what is stored


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with one trigger model."""
    add_model(tmp_path / "models", trigger_card())
    return tmp_path / "models"


@pytest.fixture
def settings(models: Path) -> Settings:
    """Settings over that folder."""
    return Settings(models=models, bundled=False, drain_s=5)


@pytest.fixture
def app(settings: Settings, network: BeepModel) -> FastAPI:
    """The application, not yet started."""
    return create_app(settings, loader=lambda path, card: network)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with its model ready."""
    async with started(app) as http:
        yield http


@pytest.fixture
def two_beeps() -> bytes:
    """A wav of 3 s at 44.1 kHz with beeps that end at 1.0 and 2.6 s."""
    return encode(beeps([1.0, 2.6], seconds=3, rate=44_100), 44_100)


@pytest.fixture
def doubler() -> Iterator[Doubler]:
    """A model that doubles."""
    made = Doubler()
    yield made
    made.gate.set()


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    """A scheduler of one thread."""
    made = Scheduler(threads=1)
    yield made
    made.close(grace=5)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running PostgreSQL server."""
    with tempfile.TemporaryDirectory() as folder:
        made = Cluster(Path(folder))
        made.start()
        yield made
        made.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/database.sqlite3"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.create_database()


@pytest.fixture(scope="session")
def migrated_url(cluster: Cluster) -> str:
    """The URL of a PostgreSQL database with its tables."""
    url = cluster.create_database()

    async def migrate() -> None:
        database = Database(url)
        await database.migrate()
        await database.close()

    asyncio.run(migrate())
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def emptied_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """As ``database_url``, and quicker: on PostgreSQL the tables are there already, and only emptied."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/database.sqlite3"
    url: str = request.getfixturevalue("migrated_url")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE users CASCADE")  # everything belongs to a user
    return url


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that are hashed in no time: elsewhere, that it takes time is the point."""
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    monkeypatch.setattr(PasswordHash, "recommended", lambda: quick)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of each kind in turn, with its tables."""
    made = Database(database_url)
    await made.migrate()
    yield made
    await made.close()
