from __future__ import annotations

import stat
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text

from helpers.postgresql import Cluster
from helpers.until import until
from trigger_api.errors import Conflict, QuotaExceeded, StorageFull, StorageUnavailable, Unprocessable
from trigger_api.storage import users
from trigger_api.storage.database import Database
from trigger_api.storage.tables import Job, Prediction, PredictionLabel, PredictionMedia, Session, User, first_id, now


def prediction(owner: User) -> Prediction:
    return Prediction(
        owner_id=owner.id, task="digits", path="/v1/digits", model="mnist", version="1", duration_ms=2.5,
        answer={"prediction": 7}, file_name="seven.png", media_type="image/png", media_bytes=3,
    )  # fmt: skip


async def test_a_row_and_its_media_come_back(database: Database) -> None:
    before = now()
    async with database.write() as session:
        owner = await users.ensure(session, name="local:")
        row = prediction(owner)
        session.add(row)
        await session.flush()
        session.add(PredictionMedia(prediction_id=row.id, content=b"\x00\xffa"))
        session.add(PredictionLabel(owner_id=owner.id, label="7", prediction_id=row.id))
    async with database.read() as session:
        (found,) = await session.scalars(select(Prediction).where(Prediction.id >= first_id(before)))
        assert found.answer == {"prediction": 7}
        assert found.created_at >= before
        media = await session.get(PredictionMedia, (found.id, 0))
        assert media is not None
        assert media.content == b"\x00\xffa"


async def test_with_an_account_goes_everything_that_it_owns(database: Database) -> None:
    async with database.write() as session:
        owner = await users.ensure(session, name="ada")
        row = prediction(owner)
        session.add_all(
            [
                row,
                Session(user_id=owner.id, secret_hash=b"1", expires_at=now()),
                Job(owner_id=owner.id, task="trigger", status="done", parameters={}),
            ]
        )
        await session.flush()
        session.add(PredictionMedia(prediction_id=row.id, content=b""))
        assert await users.remove(session, user_id=owner.id)
        assert not await users.remove(session, user_id=owner.id)
    async with database.read() as session:
        for table in (User, Prediction, PredictionMedia, Session, Job):
            assert list(await session.scalars(select(table))) == []


async def test_what_raises_is_undone(database: Database) -> None:
    async def add_and_fail() -> None:
        async with database.write() as session:
            await users.add(session, name="ada")
            raise KeyError

    with pytest.raises(KeyError):
        await add_and_fail()
    async with database.read() as session:
        assert await users.find(session, name="ada") is None


async def test_a_text_that_the_database_cannot_hold_is_the_callers_mistake(cluster: Cluster) -> None:
    database = Database(cluster.create_database())
    await database.migrate()
    with pytest.raises(Unprocessable):
        async with database.write() as session:
            await users.add(session, name="a\x00b")
    await database.close()


async def test_a_full_disk(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/full.sqlite3")
    await database.migrate()
    async with database.write() as session:
        owner = await users.ensure(session, name="ada")

    async def save_much() -> None:
        async with database.write() as session:
            await session.execute(text("PRAGMA max_page_count = 1"))  # it becomes the number of pages in use
            row = prediction(owner)
            session.add(row)
            await session.flush()
            session.add(PredictionMedia(prediction_id=row.id, content=bytes(1_000_000)))

    with pytest.raises(StorageFull):
        await save_much()
    async with database.read() as session:  # reading goes on
        assert list(await session.scalars(select(Prediction))) == []
    async with database.write() as session:
        await session.execute(text("PRAGMA max_page_count = 1000000"))
        session.add(prediction(owner))
    await database.close()


async def test_postgresqls_full_disk(cluster: Cluster) -> None:
    database = Database(cluster.create_database())
    await database.migrate()
    with pytest.raises(StorageFull):
        async with database.write() as session:
            await session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$"))
    await database.close()


async def test_an_unreachable_database_is_opened_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trigger_api.storage.database._RETRY_S", 0.01)
    (tmp_path / "folder").touch()
    database = Database(f"sqlite:///{tmp_path}/folder/database.sqlite3")
    await database.open(patience_s=0.01)
    with pytest.raises(StorageUnavailable):
        async with database.read():
            pytest.fail("it cannot be open")
    (tmp_path / "folder").unlink()
    await until(lambda: database.is_open)
    async with database.read() as session:
        assert await users.page(session) == []
    await database.close()


async def test_postgresql_goes_away_and_comes_back(cluster: Cluster) -> None:
    database = Database(cluster.create_database())
    await database.migrate()
    async with database.read() as session:
        await users.page(session)
    cluster.stop()
    try:
        for _ in range(2):
            with pytest.raises(StorageUnavailable) as raised:
                async with database.read() as session:
                    await users.page(session)
            assert raised.value.headers == {"Retry-After": "2"}
    finally:
        cluster.start()
    database._refused_until = 0
    async with database.read() as session:
        assert await users.page(session) == []
    await database.close()


async def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/made/database.sqlite3")
    await database.migrate()
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    for file in (tmp_path / "made").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await database.close()


async def test_a_row_of_an_account_that_is_gone_is_a_conflict(database: Database) -> None:
    async with database.write() as session:
        owner = await users.ensure(session, name="ada")
        await users.remove(session, user_id=owner.id)

    async def save() -> None:
        async with database.write() as session:
            session.add(prediction(owner))

    with pytest.raises(Conflict):
        await save()


async def test_a_database_where_nothing_may_be_made(cluster: Cluster) -> None:
    url = cluster.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
    database = Database(url.replace("user=postgres", "user=reader"))
    with pytest.raises(StorageUnavailable):
        await database.migrate()
    await database.close()


async def test_bytes_are_counted_up_to_the_quota(database: Database) -> None:
    async with database.write() as session:
        owner = await users.ensure(session, name="ada")
        await users.reserve_bytes(session, user_id=owner.id, size=60, quota=100)

    async def reserve(size: int, quota: int | None) -> None:
        async with database.write() as session:
            await users.reserve_bytes(session, user_id=owner.id, size=size, quota=quota)

    with pytest.raises(QuotaExceeded):
        await reserve(41, 100)
    await reserve(40, 100)
    await reserve(1_000, None)
    async with database.write() as session:
        await users.release_bytes(session, user_id=owner.id, size=1_001)
    async with database.read() as session:
        (found,) = await users.page(session)
        assert found.stored_bytes == 99
