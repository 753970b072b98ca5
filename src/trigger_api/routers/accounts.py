"""Accounts, sessions and API tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from trigger_api import schemas
from trigger_api.accounts.caller import Caller
from trigger_api.errors import Forbidden, StorageUnavailable, Unauthenticated
from trigger_api.routers.deps import Served
from trigger_api.server.auth import authenticate, is_local
from trigger_api.server.cookies import delete_session, is_https, set_session
from trigger_api.server.origin import CROSS_SITE, client_address, is_cross_site
from trigger_api.service import Service
from trigger_api.settings import Settings


async def _check_site(request: Request) -> None:
    """Refuse what a page of another site sends: it could log somebody's browser in to an account of its own.

    Raises:
        Forbidden: such a page sent this.
    """
    if is_cross_site(request):
        raise Forbidden(CROSS_SITE)


router = APIRouter(prefix="/v1", tags=["accounts"], dependencies=[Depends(_check_site)])


async def _log_in_required(caller: Annotated[Caller, Depends(authenticate)], service: Served) -> Caller:
    """The caller, who is logged in: with an API token, nobody changes the account that it belongs to.

    Raises:
        NotFound: there are no accounts.
        Unauthenticated, Forbidden: the caller is not logged in.
        StorageUnavailable: that cannot be told now.
    """
    _ = service.accounts
    if not caller.verified:
        raise StorageUnavailable("the database is unavailable; try again later", retry_after=2)
    if caller.user_id is None:
        raise Unauthenticated("log in first")
    if caller.session_id is None:
        raise Forbidden("an API token may not be used for this: log in")
    return caller


LoggedIn = Annotated[Caller, Depends(_log_in_required)]


@router.post("/accounts", status_code=HTTPStatus.CREATED)
async def sign_up(request: Request, service: Served, body: schemas.SignUp) -> schemas.Account:
    """Make an account."""
    accounts = service.accounts
    if service.settings.sign_up == "closed":
        raise Forbidden("accounts are made by the administrator of this server")
    await accounts.throttle.sign_up(address=client_address(request))
    return _account(service, await accounts.users.create(name=body.name, password=body.password))


@router.post("/accounts/reset", status_code=HTTPStatus.NO_CONTENT)
async def reset_password(service: Served, body: schemas.PasswordReset) -> None:
    """Set a new password, with the secret that an administrator has given. It can be used once; all sessions end."""
    await service.accounts.users.reset_password(secret=body.secret, password=body.new_password)


@router.get("/accounts/me")
async def get_account(service: Served, caller: LoggedIn) -> schemas.Account:
    """The caller's account."""
    return _account(service, await service.accounts.users.get(_user(caller)))


@router.patch("/accounts/me")
async def change_account(service: Served, caller: LoggedIn, body: schemas.AccountChange) -> schemas.Account:
    """Change the caller's choices."""
    users = service.accounts.users
    return _account(service, await users.set_keeps_history(_user(caller), value=body.keeps_history))


@router.put("/accounts/me/password", status_code=HTTPStatus.NO_CONTENT)
async def change_password(service: Served, caller: LoggedIn, body: schemas.PasswordChange) -> None:
    """Replace the password. All other sessions end."""
    await service.accounts.users.change_password(
        _user(caller), old=body.password, new=body.new_password, session_id=caller.session_id
    )


@router.delete("/accounts/me", status_code=HTTPStatus.NO_CONTENT)
async def delete_account(
    request: Request, response: Response, service: Served, caller: LoggedIn, body: schemas.PasswordConfirmation
) -> None:
    """Delete the account with everything that it owns: sessions, tokens, history. This cannot be undone."""
    await service.accounts.users.check_password(_user(caller), body.password)
    await service.accounts.users.delete(_user(caller))
    delete_session(request, response)


@router.get("/accounts/me/export", response_class=StreamingResponse)
async def export_account(service: Served, caller: LoggedIn) -> StreamingResponse:
    """Everything that is stored about the account, as JSON lines; media are in base64."""
    headers = {"Content-Disposition": 'attachment; filename="account.jsonl"'}
    return StreamingResponse(service.accounts.export(caller), media_type="application/jsonl", headers=headers)


@router.post("/sessions", status_code=HTTPStatus.CREATED)
async def log_in(
    request: Request,
    response: Response,
    service: Served,
    body: schemas.LogIn,
    caller: Annotated[Caller, Depends(authenticate)],
) -> schemas.LoginSession:
    """Log in. The answer sets the cookie of a new session; one that the client had ends."""
    _check_transport(request, service.settings)
    sessions = service.accounts.sessions
    secret, row = await sessions.log_in(
        name=body.name.strip().lower(), password=body.password, address=client_address(request),
        user_agent=request.headers.get("user-agent", "")[:256], replaces=caller.session_id,
    )  # fmt: skip
    set_session(request, response, secret, int(sessions.lifetime.total_seconds()))
    return _session(row, row.id)


@router.get("/sessions")
async def list_sessions(service: Served, caller: LoggedIn) -> list[schemas.LoginSession]:
    """The caller's sessions, the newest first."""
    rows = await service.accounts.sessions.list(_user(caller))
    return [_session(row, caller.session_id) for row in rows]


@router.delete("/sessions/current", status_code=HTTPStatus.NO_CONTENT)
async def log_out(request: Request, response: Response, service: Served, caller: LoggedIn) -> None:
    """Log out."""
    assert caller.session_id is not None
    await service.accounts.sessions.end(_user(caller), caller.session_id)
    delete_session(request, response)


@router.delete("/sessions", status_code=HTTPStatus.NO_CONTENT)
async def log_out_others(service: Served, caller: LoggedIn) -> None:
    """End all of the caller's other sessions."""
    await service.accounts.sessions.end_others(_user(caller), caller.session_id)


@router.delete("/sessions/{session_id}", status_code=HTTPStatus.NO_CONTENT)
async def end_session(service: Served, caller: LoggedIn, session_id: UUID) -> None:
    """End one of the caller's sessions."""
    await service.accounts.sessions.end(_user(caller), session_id)


@router.post("/tokens", status_code=HTTPStatus.CREATED)
async def create_token(service: Served, caller: LoggedIn, body: schemas.TokenRequest) -> schemas.NewToken:
    """Make an API token. Its secret is in this answer, and nowhere else."""
    if "models:admin" in body.scopes and not caller.admin:
        raise Forbidden("the scope `models:admin` requires an administrator's account")
    expires_at = datetime.now(UTC) + timedelta(days=body.days) if body.days else None
    secret, row = await service.accounts.tokens.create(
        _user(caller), name=body.name, scopes=dict.fromkeys(body.scopes), expires_at=expires_at
    )
    return schemas.NewToken(token=secret, **schemas.Token.model_validate(row).model_dump())


@router.get("/tokens")
async def list_tokens(service: Served, caller: LoggedIn) -> list[schemas.Token]:
    """The caller's API tokens, the newest first."""
    return [schemas.Token.model_validate(row) for row in await service.accounts.tokens.list(_user(caller))]


@router.delete("/tokens/{token_id}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_token(service: Served, caller: LoggedIn, token_id: UUID) -> None:
    """Revoke one of the caller's API tokens."""
    await service.accounts.tokens.revoke(_user(caller), token_id)


def _user(caller: Caller) -> UUID:
    assert caller.user_id is not None
    return caller.user_id


def _account(service: Service, row: object) -> schemas.Account:
    quota = service.settings.quota_mib
    account = schemas.Account.model_validate(row)
    return account.model_copy(update={"quota_bytes": quota * 2**20 if quota else None})


def _session(row: object, current: UUID | None) -> schemas.LoginSession:
    session = schemas.LoginSession.model_validate(row)
    return session.model_copy(update={"current": session.id == current})


def _check_transport(request: Request, settings: Settings) -> None:
    """Refuse to open a session where others can listen.

    Raises:
        Forbidden: the request came from another machine over plain HTTP.
    """
    if not (is_https(request) or settings.insecure_cookies or is_local(request)):
        raise Forbidden("log in over HTTPS: over plain HTTP, others could read the password")
