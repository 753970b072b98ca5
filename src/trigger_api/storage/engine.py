"""Engines for the two databases: SQLite through aiosqlite, PostgreSQL through psycopg."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy
from platformdirs import user_data_path
from pydantic_core import to_json
from sqlalchemy import Connection, Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

SQLITE, POSTGRESQL = "sqlite:///", ("postgresql://", "postgres://")
_BUSY_S = 10  # how long SQLite waits for another writer
_POOL: dict[str, Any] = {"pool_size": 8, "max_overflow": 8, "pool_timeout": 5}
_ALONE: dict[str, Any] = {"pool_size": 1, "max_overflow": 0}
# Without the keepalives, the loss of the database's host would go unnoticed.
_CONNECT: dict[str, Any] = {
    "connect_timeout": 3, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
}  # fmt: skip
# Media are written in fewer steps than with SQLite's own 4 KiB and 4 MiB.
_PAGE_BYTES, _AHEAD_BYTES = 16_384, 32 * 2**20
# FULL: what has been committed survives the loss of power.
_PRAGMAS = (
    f"busy_timeout = {_BUSY_S * 1000}",
    "synchronous = FULL",
    "foreign_keys = ON",
    f"wal_autocheckpoint = {_AHEAD_BYTES // _PAGE_BYTES}",
)


def default_url() -> str:
    """A SQLite file in the user's data folder."""
    return f"{SQLITE}{user_data_path('trigger-api', appauthor=False) / 'trigger-api.sqlite3'}"


def is_postgresql(url: str) -> bool:
    """Whether a URL is PostgreSQL's."""
    return url.startswith(POSTGRESQL)


def sqlite_path(url: str) -> Path:
    """The file of a SQLite URL: ``sqlite:///relative`` or ``sqlite:////absolute``."""
    return Path(url.removeprefix(SQLITE)).expanduser()


def create_engine(url: str) -> AsyncEngine:
    """The engine of a URL. Nothing is connected yet.

    Args:
        url: ``sqlite:///path``, or what libpq takes.
    """
    return _postgresql(url) if is_postgresql(url) else _sqlite(sqlite_path(url))


def create_writing_engine(url: str) -> Engine:
    """An engine for transactions that write, all of them in one thread. Nothing is connected yet.

    Args:
        url: as in ``create_engine``.
    """
    engine = _blocking_postgresql(url) if is_postgresql(url) else _blocking_sqlite(sqlite_path(url))
    return engine.execution_options(writes=True)


def make_file(path: Path) -> None:
    """Create a SQLite file, in a folder of the owner's alone, and have it write ahead (WAL), which lasts. Blocks.

    Raises:
        OSError, sqlite3.Error: there can be no such file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    give_up = time.monotonic() + _BUSY_S
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of a file that is still empty
        while not _writes_ahead(connection, last=time.monotonic() > give_up):
            time.sleep(0.01)


def _writes_ahead(connection: sqlite3.Connection, *, last: bool) -> bool:
    """Whether the mode could be set: while another process sets it, SQLite gives up at once, whatever its timeout."""
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if last or error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return False
    return True


def _postgresql(url: str) -> AsyncEngine:
    import psycopg  # needs an extra

    async def connect() -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(url, **_CONNECT)

    return create_async_engine("postgresql+psycopg://", async_creator=connect, pool_pre_ping=True, **_POOL)


def _blocking_postgresql(url: str) -> Engine:
    import psycopg  # needs an extra

    def connect() -> psycopg.Connection:
        return psycopg.connect(url, **_CONNECT)

    return sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=connect, pool_pre_ping=True, json_serializer=_json, **_ALONE
    )


def _sqlite(path: Path) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": _BUSY_S}, **_POOL)
    _listen(engine.sync_engine)
    return engine


def _blocking_sqlite(path: Path) -> Engine:
    arguments = {"timeout": _BUSY_S, "check_same_thread": False}
    engine = sqlalchemy.create_engine(
        f"sqlite+pysqlite:///{path}", connect_args=arguments, json_serializer=_json, poolclass=QueuePool, **_ALONE
    )
    _listen(engine)
    return engine


def _json(value: Any) -> str:
    return to_json(value, inf_nan_mode="null").decode()


def _listen(engine: Engine) -> None:
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own: see _on_begin
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    """A transaction that will write waits for the lock when it begins, and cannot fail for it later."""
    mode = "IMMEDIATE" if connection.get_execution_options().get("writes") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {mode}")
