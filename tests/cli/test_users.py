from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.commands import run
from helpers.people import PASSWORD
from trigger_api.cli.main import app

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture(autouse=True)
def _database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TRIGGER_API_DATABASE_URL", f"sqlite:///{tmp_path}/database.sqlite3")


def create(*arguments: str, password: str = PASSWORD) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["users", "create", *arguments], input=f"{password}\n")
    return result.exit_code, result.output


def test_the_first_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    assert create("Ada", "--admin") == (0, "made ada\n")
    assert create("eve") == (0, "made eve\n")
    code, output = run("users", "list")
    assert code == 0
    assert [line.split()[:2] for line in output.splitlines()] == [["ada", "admin"], ["eve", "user"]]


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("ada", "correct horse", "already"),
        ("eve", "short", "at least 8 characters"),
        ("<b>", "correct horse", "name"),
    ],
)
def test_a_bad_account(name: str, password: str, message: str) -> None:
    create("ada")
    code, output = create(name, password=password)
    assert (code, message in output) == (2, True), output


def test_a_link_to_reset_a_password() -> None:
    create("ada")
    code, output = run("users", "reset", "ADA")
    assert code == 0
    assert output.splitlines()[-1].startswith("http://127.0.0.1:8000/account/reset?token=tar_")
    _, output = run("users", "reset", "ada", "--url", "https://example.org/speech/")
    assert output.splitlines()[-1].startswith("https://example.org/speech/account/reset?token=tar_")
    assert run("users", "reset", "nobody") == (2, "error: there is no account of this name\n")


def test_an_account_is_deleted_after_a_question() -> None:
    create("ada")
    kept = CliRunner().invoke(app, ["users", "delete", "ada"], input="n\n")
    assert kept.exit_code == 1
    assert run("users", "delete", "ada", "--yes") == (0, "deleted ada\n")
    assert run("users", "list") == (0, "")
