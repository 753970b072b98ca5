from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from helpers.until import let_others_run
from trigger_api.errors import Conflict, Overloaded, QuotaExceeded, ServiceError, StorageUnavailable
from trigger_api.history import writer as module
from trigger_api.history.media import Media
from trigger_api.history.record import Record
from trigger_api.history.writer import Writer
from trigger_api.storage import users
from trigger_api.storage.database import Database
from trigger_api.storage.tables import Prediction, new_id


@pytest.fixture
async def owner(database: Database) -> UUID:
    async with database.write() as session:
        return (await users.ensure(session, name="token:one")).id


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[Writer]:
    made = Writer(database, 10_000)
    yield made
    await made.close()


def record(owner: UUID, size: int = 10, **changes: Any) -> Record:
    values = {
        "task": "trigger", "path": "/v1/trigger", "model": "beep", "version": "1", "duration_ms": 1.0,
        "answer": {"detected": True}, "labels": ("beep",), "media": Media(bytes(size)), **changes,
    }  # fmt: skip
    return Record(owner, **values)


async def count(database: Database) -> int:
    async with database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(Prediction)) or 0)


async def test_what_waits_is_written_together(
    database: Database, writer: Writer, owner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions, write = list[int](), database.write_in_thread

    def counted(work: Any) -> Any:
        transactions.append(1)
        return write(work)

    monkeypatch.setattr(database, "write_in_thread", counted)
    ids = await asyncio.gather(*(writer.write(record(owner)) for _ in range(40)))
    assert len(set(ids)) == await count(database) == 40
    assert len(transactions) <= 2


async def test_one_fault_does_not_touch_the_others(database: Database, writer: Writer, owner: UUID) -> None:
    made = [record(owner), record(new_id()), record(owner, 20_000), record(owner)]
    results = await asyncio.gather(*(writer.write(each) for each in made), return_exceptions=True)
    assert [type(result) for result in results] == [UUID, QuotaExceeded, QuotaExceeded, UUID]
    assert await count(database) == 2


def _broken(self: Record) -> None:
    raise RuntimeError


async def test_what_cannot_be_written_does_not_end_the_writer(
    database: Database, writer: Writer, owner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Record, "label_rows", _broken)
        with pytest.raises(ServiceError, match="internal error"):
            await writer.write(record(owner))
    await writer.write(record(owner))
    assert await count(database) == 1


async def test_a_full_queue(writer: Writer, owner: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAITING", 3)
    writing = [asyncio.create_task(writer.write(record(owner))) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await writer.write(record(owner))
    await asyncio.gather(*writing)
    monkeypatch.setattr(module, "_WAITING_BYTES", 100)
    writing = [asyncio.create_task(writer.write(record(owner, 60)))]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await writer.write(record(owner, 60))
    await asyncio.gather(*writing)
    await writer.write(record(owner, 200))  # alone, it may be larger


async def test_one_who_leaves_is_written_all_the_same(database: Database, writer: Writer, owner: UUID) -> None:
    leaving = asyncio.create_task(writer.write(record(owner)))
    await let_others_run(1)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await writer.write(record(owner))
    assert await count(database) == 2


async def test_closing_writes_what_waits(database: Database, owner: UUID) -> None:
    made = Writer(database, None)
    writing = [asyncio.create_task(made.write(record(owner))) for _ in range(100)]
    await asyncio.sleep(0)
    await made.close()
    assert len(set(await asyncio.gather(*writing))) == await count(database) == 100
    with pytest.raises(StorageUnavailable):
        await made.write(record(owner))


async def test_an_account_that_is_gone(database: Database, owner: UUID) -> None:
    made = Writer(database, None)
    try:
        with pytest.raises((Conflict, QuotaExceeded)):
            await made.write(record(new_id()))
    finally:
        await made.close()
