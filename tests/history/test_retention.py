from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from trigger_api.history import retention
from trigger_api.storage import predictions, users
from trigger_api.storage.database import Database
from trigger_api.storage.predictions import Filters, Row
from trigger_api.storage.tables import User, first_id, now


def row(owner_id: UUID, days: float, number: int) -> Row:
    at = now() - timedelta(days=days)
    return {
        "id": UUID(int=first_id(at).int + number), "owner_id": owner_id, "created_at": at, "task": "trigger",
        "path": "/", "model": "beep", "version": "1", "duration_ms": 1.0, "answer": {}, "answer_bytes": 2,
        "file_name": None, "media_type": None, "media_bytes": 8,
    }  # fmt: skip


async def fill(database: Database, name: str, ages: list[float]) -> UUID:
    async with database.write() as session:
        owner = await users.ensure(session, name=name)
        owner.stored_bytes = 10 * len(ages)
        rows = [row(owner.id, days, number) for number, days in enumerate(ages)]
        await predictions.add_all(session, rows=rows, labels=[], media=[])
    return owner.id


async def held(database: Database, owner_id: UUID) -> tuple[int, int]:
    async with database.read() as session:
        user = await session.get(User, owner_id)
        assert user
        return len(
            await predictions.page(session, owner_id=owner_id, filters=Filters(), limit=1_000)
        ), user.stored_bytes


async def test_by_age(database: Database) -> None:
    ada, eve = await fill(database, "ada", [0, 1, 3, 4]), await fill(database, "eve", [0])
    assert await retention.remove_expired(database, days=2, most=None) == 2
    assert [await held(database, each) for each in (ada, eve)] == [(2, 20), (1, 10)]


async def test_by_number(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_TOGETHER", 2)
    ada, eve = await fill(database, "ada", [float(each) for each in range(7)]), await fill(database, "eve", [0, 0])
    assert await retention.remove_expired(database, days=None, most=2) == 5
    assert [await held(database, each) for each in (ada, eve)] == [(2, 20), (2, 20)]
    async with database.read() as session:
        left = await predictions.page(session, owner_id=ada, filters=Filters())
    assert all(each.created_at > now() - timedelta(days=2) for each in left)


async def test_without_limits_everything_stays(database: Database) -> None:
    ada = await fill(database, "ada", [1_000.0])
    assert await retention.remove_expired(database, days=None, most=None) == 0
    assert await held(database, ada) == (1, 10)
