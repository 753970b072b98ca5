"""``trigger-api db``: the database's tables, and copies of it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trigger_api.cli.console import abort, checked, cli_errors, load_settings, stdout
from trigger_api.errors import ServiceError

if TYPE_CHECKING:
    from trigger_api.storage.database import Database

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def upgrade() -> None:
    """Bring the tables to this version. `serve` does it too; several may at once."""
    from trigger_api.storage.migration import head

    database = configured()
    checked(asyncio.run, _upgrade(database))
    stdout.print(f"the tables are at revision {head()}")


@app.command()
def backup(path: Annotated[Path, typer.Argument(help="File to write; it must not exist.")]) -> None:
    """Copy a SQLite database while it is in use. For PostgreSQL there is pg_dump."""
    from trigger_api.storage.engine import is_postgresql, sqlite_path

    url = configured().url
    if is_postgresql(url):
        abort("this copies SQLite only: use pg_dump for PostgreSQL")
    if path.exists():
        abort(f"{path}: exists already")
    with cli_errors(sqlite3.Error, OSError):
        _copy(sqlite_path(url), path)


def configured() -> Database:
    """The database of the settings, not yet open."""
    settings = load_settings()
    if not settings.has_database:
        abort("TRIGGER_API_DATABASE_URL is none: there is no database")
    from trigger_api.storage.database import Database  # slow to import

    url = settings.database_url
    with cli_errors(ModuleNotFoundError):
        return Database(url.get_secret_value() if url else None)


async def _upgrade(database: Database) -> None:
    try:
        await database.migrate()
    except ServiceError as error:
        # The operator may see what a client must not.
        cause = getattr(error.__cause__, "orig", error.__cause__)
        raise ValueError(f"{error.detail} ({cause})") from error
    finally:
        await database.close()


def _copy(source: Path, target: Path) -> None:
    target.touch(mode=0o600)
    reading = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
    with closing(reading), closing(sqlite3.connect(target)) as writing:
        reading.backup(writing)
