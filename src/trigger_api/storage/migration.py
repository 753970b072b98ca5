"""Runs the migrations of this package over an open connection."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

_LOCK = 0x7472_6967  # any number that no other application of the database uses for its advisory locks


class UnknownRevision(Exception):
    """The tables are those of a later version."""


def upgrade(connection: Connection) -> None:
    """Bring the tables to this version, in the connection's transaction.

    Of several processes that start at once, one migrates, and the others find nothing left to do: on PostgreSQL they
    wait for an advisory lock, and on SQLite for the lock that the transaction began with.

    Raises:
        UnknownRevision: the tables are those of a later version.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise UnknownRevision("the database belongs to a later version of the service") from error


def head() -> str:
    """The newest revision."""
    return str(ScriptDirectory.from_config(_config(None)).get_current_head())


def _config(connection: Connection | None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
