"""``trigger-api users``: accounts, for the administrator of the server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from pydantic import ValidationError

from trigger_api.cli.console import abort, cli_errors, load_settings, stdout
from trigger_api.cli.db import configured
from trigger_api.errors import ServiceError, format_validation_errors

if TYPE_CHECKING:
    from trigger_api.accounts.manager import Accounts

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help=__doc__)
Name = Annotated[str, typer.Argument(help="Name of the account.")]


@app.command()
def create(
    name: Name, admin: Annotated[bool, typer.Option("--admin", help="May load and unload models.")] = False
) -> None:
    """Make an account. The password is asked for, or read from standard input."""
    from trigger_api.schemas import SignUp

    try:
        made = SignUp(name=name, password=_password())
    except ValidationError as error:
        abort(format_validation_errors(error.errors()))
    _run(lambda accounts: accounts.users.create(name=made.name, password=made.password, is_admin=admin))
    stdout.print(f"made {made.name}")


@app.command()
def reset(
    name: Name,
    url: Annotated[
        str | None, typer.Option(help="Address of the service, as the owner's browser knows it; by default this one.")
    ] = None,
) -> None:
    """Print a link to a page where its owner sets a new password, once, within a day."""
    secret = _run(lambda accounts: accounts.users.permit_reset(name.strip().lower()))
    stdout.print(f"Pass this link on; it sets a new password once, within a day:\n{_link(url, secret)}", soft_wrap=True)


def _link(url: str | None, secret: str) -> str:
    settings = load_settings()
    here = f"http://{settings.host}:{settings.port}{settings.root_path}"
    return f"{(url or here).rstrip('/')}/account/reset?token={secret}"


@app.command()
def delete(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete an account with everything that it owns. This cannot be undone."""
    if not yes:
        typer.confirm(f"Delete {name} with its tokens and its history?", abort=True)
    _run(lambda accounts: accounts.users.delete_named(name.strip().lower()))
    stdout.print(f"deleted {name}")


@app.command(name="list")
def list_users() -> None:
    """List all accounts, with the bytes that each holds."""
    for user in _run(lambda accounts: accounts.users.list()):
        role = "admin" if user.is_admin else "user" if user.password_hash else "token"
        stdout.print(f"{user.name}  {role}  {user.created_at:%Y-%m-%d}  {user.stored_bytes} bytes", soft_wrap=True)


def _run(work: Callable[[Accounts], Awaitable[T]]) -> T:
    database = configured()

    async def run() -> T:
        from trigger_api.accounts.manager import Accounts  # slow to import

        accounts = Accounts(database, load_settings())
        try:
            await database.migrate()
            return await work(accounts)
        finally:
            await accounts.close()
            await database.close()

    with cli_errors(ServiceError):
        return asyncio.run(run())


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
