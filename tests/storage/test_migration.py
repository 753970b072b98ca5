from __future__ import annotations

import asyncio
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from trigger_api.errors import StorageUnavailable
from trigger_api.storage import users
from trigger_api.storage.database import Database
from trigger_api.storage.migration import head
from trigger_api.storage.tables import Base


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
