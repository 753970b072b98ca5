from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Table, insert, text

from trigger_api.errors import StorageUnavailable
from trigger_api.storage import predictions, users
from trigger_api.storage.database import Database
from trigger_api.storage.migration import _config, head
from trigger_api.storage.predictions import Filters
from trigger_api.storage.tables import Base, Prediction, PredictionLabel, new_id


def differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata))


async def revision(database: Database) -> str:
    async with database.read() as session:
        return str(await session.scalar(text("SELECT version_num FROM alembic_version")))


async def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert await revision(database) == head()


async def test_a_migration_that_runs_again_changes_nothing(database: Database) -> None:
    async with database.write() as session:
        await users.add(session, name="ada")
    await database.migrate()
    async with database.read() as session:
        assert await users.find(session, name="ada")


async def test_labels_of_an_older_database_get_their_task(database_url: str) -> None:
    database = Database(database_url)
    await database.migrate()
    async with database.engine.connect() as connection:
        await connection.run_sync(lambda plain: command.downgrade(_config(plain), "0001"))
        await connection.commit()
    async with database.write() as session:
        owner = await users.add(session, name="ada")
        assert owner
        row: dict[str, Any] = {"id": new_id(), "owner_id": owner.id, "task": "digits", "path": "/", "model": "m",
                               "version": "1", "duration_ms": 1.0, "answer": {}}  # fmt: skip
        await session.execute(insert(Prediction), [row])
        label = {"owner_id": owner.id, "label": "7", "prediction_id": row["id"]}
        table = cast(Table, PredictionLabel.__table__)
        await session.execute(insert(table).values({table.c[name]: value for name, value in label.items()}))
    await database.migrate()
    async with database.read() as session:
        found = [
            [each.id for each in await predictions.page(session, owner_id=owner.id, filters=Filters(task, "7"))]
            for task in ("digits", "trigger", None)
        ]
    assert found == [[row["id"]], [], [row["id"]]]
    await database.close()


async def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    await asyncio.gather(*(each.migrate() for each in databases))
    assert [await revision(each) for each in databases] == [head()] * 4
    for each in databases:
        await each.close()


async def test_the_tables_of_a_later_version_are_left_alone(database: Database) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageUnavailable, match="later version"):
        await database.migrate()
    assert await revision(database) == "9999"
