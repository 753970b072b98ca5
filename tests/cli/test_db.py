from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from helpers.commands import run
from trigger_api.storage import users
from trigger_api.storage.database import Database


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TRIGGER_API_DATABASE_URL", f"sqlite:///{tmp_path}/data/database.sqlite3")
    return tmp_path / "data" / "database.sqlite3"


def names(path: Path) -> list[str]:
    async def read() -> list[str]:
        database = Database(f"sqlite:///{path}")
        await database.migrate()
        async with database.read() as session:
            found = [user.name for user in await users.page(session)]
        await database.close()
        return found

    return asyncio.run(read())


def test_upgrade_makes_the_tables_and_may_run_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_DATABASE_URL", database_url)
    for _ in range(2):
        assert run("db", "upgrade") == (0, "the tables are at revision 0002\n")


@pytest.mark.usefixtures("quick_passwords")
def test_a_backup_is_restored(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from trigger_api.cli.main import app

    assert CliRunner().invoke(app, ["users", "create", "ada"], input="correct horse\n").exit_code == 0
    copy = tmp_path / "copy.sqlite3"
    assert run("db", "backup", str(copy))[0] == 0
    assert copy.stat().st_mode & 0o077 == 0
    assert run("users", "delete", "ada", "--yes")[0] == 0
    assert (names(file), names(copy)) == ([], ["ada"])
    assert run("db", "backup", str(copy))[0] == 2  # nothing is overwritten
    copy.replace(file)
    for rest in file.parent.glob("*-*"):  # as the page on storage says
        rest.unlink()
    assert names(file) == ["ada"]


def test_there_must_be_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (("upgrade",), ("backup", "x")):
        assert run("db", *command) == (2, "error: TRIGGER_API_DATABASE_URL is none: there is no database\n")


def test_postgresql_has_a_program_of_its_own_for_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_DATABASE_URL", "postgresql:///x")
    code, output = run("db", "backup", "x")
    assert (code, "pg_dump" in output) == (2, True)


def test_a_password_in_the_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for url in ("postgresql://user:secret@127.0.0.1:1/x", "mysql://user:secret@127.0.0.1:1/x"):
        monkeypatch.setenv("TRIGGER_API_DATABASE_URL", url)
        code, output = run("db", "upgrade")
        assert (code, "secret" in output) == (2, False)
