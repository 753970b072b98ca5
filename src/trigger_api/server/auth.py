"""Authentication and authorisation: one dependency in front of every route."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from trigger_api.accounts.caller import LOCAL, Caller, Scope
from trigger_api.errors import Forbidden, StorageUnavailable, Unauthenticated
from trigger_api.server.cookies import SESSION_COOKIE, session_secret
from trigger_api.server.origin import CROSS_SITE, client_address, is_cross_site, is_foreign, is_other_site
from trigger_api.settings import Settings
from trigger_api.web.pages import PATHS as PAGE_PATHS
from trigger_api.web.pages import PUBLIC as PUBLIC_PAGES

if TYPE_CHECKING:
    from trigger_api.accounts.manager import Accounts

# For the OpenAPI document. FastAPI could derive this, but would resolve two more dependencies on every request.
SCHEMES: dict[str, dict[str, Any]] = {
    "APIKeyHeader": {"type": "apiKey", "description": "an API token", "in": "header", "name": "X-Api-Token"},
    "HTTPBearer": {"type": "http", "description": "an API token", "scheme": "bearer"},
    "APIKeyCookie": {"type": "apiKey", "description": "a session", "in": "cookie", "name": SESSION_COOKIE},
}

UNAUTHENTICATED = (
    "an API token is required: send it as X-Api-Token or Authorization: Bearer, or log in "
    "(a server without tokens accepts requests from its own machine)"
)

_PORT = re.compile(r":\d*$")

# Health probes send no token, and learn nothing but the status.
PUBLIC_PATHS = frozenset({"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"})
_DOCS = re.compile(r"/docs(/assets/[^/]*)?|/openapi\.json")  # public where everybody else needs an account
_UPLOAD_FORM = "/upload-image"
_LOG_IN = frozenset({("POST", "/v1/sessions"), ("POST", "/v1/accounts/reset")})
_SIGN_UP = ("POST", "/v1/accounts")
# What a token must be for, by the first tag of a route, where that is not predictions. Routes of administrators and of
# accounts ask for more themselves.
# Those without a token: on a page for all, on an open server, and at a machine whose server has no tokens.
_NOBODY, _ANYBODY, _OPERATOR = Caller(scopes=frozenset()), Caller(), Caller(admin=True, owner=LOCAL)
_CREDENTIALS = frozenset({b"authorization", b"x-api-token"})
_SCOPE_OF_TAG: dict[str, Scope | None] = {
    "rooms": "stream",
    "history": "history",
    "models": None,
    "training": "models:admin",
    "accounts": None,
    "system": None,
}


async def authenticate(connection: HTTPConnection) -> Caller:
    """Authenticate a request or a WebSocket, and check the scope of its token; the dependency of every route.

    Raises:
        Unauthenticated: a token is required, and no valid one was sent.
        Forbidden: the token may not be used for this, or a page of another site acts through somebody's browser.
        StorageUnavailable: the token cannot be looked up.
    """
    settings: Settings = connection.app.state.settings
    caller = await authenticate_request(connection, settings)
    if caller is None:
        raise Unauthenticated(UNAUTHENTICATED)
    if connection.scope["type"] == "websocket" and not caller.has_token and is_foreign(connection, settings):
        raise Forbidden("pages of another site may not open a WebSocket to this server")
    scope = _scope(connection)
    if scope and scope not in caller.scopes and not _is_public(connection, settings):
        raise Forbidden(f"this token lacks the scope `{scope}`")
    return caller


async def authenticate_request(connection: HTTPConnection, settings: Settings) -> Caller | None:
    """The caller of a request, None if it is not authenticated. Who needs no token passes as an anonymous caller.

    The middleware asks first and the route again, so the result is kept in the request's state.

    Raises:
        Forbidden: a page of another site uses somebody's cookie.
        RateLimited: the client has sent too many tokens that are not known.
        StorageUnavailable: the token cannot be looked up, and nobody is let in without.
    """
    state = connection.scope.setdefault("state", {})
    if "caller" not in state:
        state["caller"] = await _resolve(connection, settings)
    caller: Caller | None = state["caller"]
    return caller


async def reauthenticate(connection: HTTPConnection) -> Caller | None:
    """The caller of a request that has been open for a while, as ``authenticate_request`` would find them now.

    Raises:
        As ``authenticate_request`` does.
    """
    return await _resolve(connection, connection.app.state.settings)


def resolve_caller(token: str | None, hosts: Iterable[str], settings: Settings) -> Caller | None:
    """The caller with a token of the settings and an address, None if it is not authenticated.

    Args:
        token: the token that was sent, if any.
        hosts: the client's address and the name in its ``Host`` header, where known. A Unix socket has no address and
            counts as local. The header matters because of DNS rebinding: a browser on this machine that uses a
            stranger's name for it speaks for the stranger.
        settings: hold the valid tokens.
    """
    return _with_token(token, settings) or _without_token(is_loopback(hosts), settings)


def must_log_in(request: Request, caller: Caller) -> bool:
    """Whether the caller is not logged in, and the page is only for those who are."""
    settings: Settings = request.app.state.settings
    return settings.auth == "required" and not caller.scopes and _path(request) not in PUBLIC_PAGES


async def require_admin(request: HTTPConnection, caller: Annotated[Caller, Depends(authenticate)]) -> None:
    """Require an administrator; a dependency.

    Raises:
        Forbidden: the caller is not one, or a page of another site acts through an administrator's browser.
    """
    if (not caller.has_token and is_foreign(request, request.app.state.settings)) or is_other_site(request):
        raise Forbidden(CROSS_SITE)
    if not caller.admin:
        raise Forbidden("this requires an administrator's token")


Authenticated = Depends(authenticate)
Administrator = Depends(require_admin)


def is_local(connection: HTTPConnection) -> bool:
    """Whether a request comes from this machine, by an address and a name of it."""
    host = [connection.client.host] if connection.client else []
    return is_loopback([*host, *_host_header(connection)])


def is_loopback(hosts: Iterable[str]) -> bool:
    """Whether all of these hosts are this machine itself."""
    return all(_is_loopback(host) for host in hosts)


async def _resolve(connection: HTTPConnection, settings: Settings) -> Caller | None:
    given = _tokens(connection)
    known = [replace(caller, name=_caller_name(token)) for token in given if (caller := _with_token(token, settings))]
    if known:
        return max(known, key=lambda caller: caller.admin)
    anonymous = _without_token(is_local(connection), settings)
    if anonymous is None and _is_public(connection, settings):
        anonymous = _NOBODY
    if anonymous:
        anonymous = _named(anonymous, _caller_name(given[0]) if given else client_address(connection))
    return await _of_account(connection, settings, given, anonymous)


async def _of_account(
    connection: HTTPConnection, settings: Settings, given: Iterable[str], anonymous: Caller | None
) -> Caller | None:
    """The caller with one of the stored tokens, or with a session's cookie; without either the anonymous one."""
    accounts: Accounts | None = getattr(connection.app.state, "accounts", None)
    cookie = session_secret(connection) if accounts else None
    if accounts is None or not (given or cookie):
        return anonymous
    if cookie and is_cross_site(connection):
        raise Forbidden(CROSS_SITE)
    try:
        found = await _look_up(accounts, connection, [*given, *([cookie] if cookie else [])])
    except StorageUnavailable:
        if anonymous is None:
            raise
        return replace(anonymous, verified=False)
    if found and found.session_id and anonymous and anonymous.admin:
        return replace(found, admin=True)  # whoever sits at the machine itself
    return found or anonymous


async def _look_up(accounts: Accounts, connection: HTTPConnection, secrets: Iterable[str]) -> Caller | None:
    address = client_address(connection)
    for secret in secrets:
        if found := await accounts.find_caller(secret, address=address):
            return found
    return None


def _with_token(token: str | None, settings: Settings) -> Caller | None:
    # Every token is compared, and in constant time, so that the time taken reveals nothing.
    admin, known = _is_known(token, settings.admin_tokens), _is_known(token, settings.tokens)
    return Caller(admin, has_token=True, owner=f"token:{_caller_name(token or '')}") if admin or known else None


@lru_cache(maxsize=1024)
def _named(caller: Caller, name: str) -> Caller:
    return replace(caller, name=name)


def _without_token(local: bool, settings: Settings) -> Caller | None:
    if settings.auth == "open":
        return _ANYBODY
    has_tokens = settings.tokens or settings.admin_tokens or settings.auth == "required"
    return _OPERATOR if local and not has_tokens else None


def _scope(connection: HTTPConnection) -> Scope | None:
    """What a token must be for, to be used on this route."""
    if connection.scope["type"] == "websocket":
        return "stream"
    tags = getattr(connection.scope.get("route"), "tags", None)
    return _SCOPE_OF_TAG.get(tags[0], "predict") if tags else "predict"


def _host_header(connection: HTTPConnection) -> list[str]:
    """The name in the ``Host`` header, without the port."""
    name = connection.headers.get("host", "")
    return [_PORT.sub("", name)] if name else []


def _tokens(connection: HTTPConnection) -> list[str]:
    """Every token in the request: one may be a proxy's, and another the caller's."""
    if connection.scope["type"] == "http" and _CREDENTIALS.isdisjoint(name for name, _ in connection.scope["headers"]):
        return []
    scheme, _, credentials = connection.headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    # Browsers cannot set headers on a WebSocket: they offer `bearer.TOKEN` as a second subprotocol.
    offered = [name.removeprefix("bearer.") for name in _subprotocols(connection) if name.startswith("bearer.")]
    return [token for token in (connection.headers.get("x-api-token", ""), bearer, *offered) if token]


def _subprotocols(connection: HTTPConnection) -> list[str]:
    offered: list[str] = connection.scope.get("subprotocols", [])
    return offered


def _is_public(connection: HTTPConnection, settings: Settings) -> bool:
    path = _path(connection)
    if path in PUBLIC_PATHS or _is_page(connection, path):
        return True
    operation = (connection.scope.get("method"), path)
    if operation in _LOG_IN or (operation == _SIGN_UP and settings.sign_up == "open"):
        return True
    return settings.auth == "required" and _DOCS.fullmatch(path) is not None


def _is_page(connection: HTTPConnection, path: str) -> bool:
    """Pages are public, and the files that they load: what they show comes from routes that are not."""
    if connection.scope.get("method") not in ("GET", "HEAD"):
        return False
    return path in PAGE_PATHS or path == _UPLOAD_FORM or path.startswith("/static/")


def _path(connection: HTTPConnection) -> str:
    """The path below the service's root."""
    path: str = connection.scope["path"]
    return path.removeprefix(connection.scope.get("root_path", ""))


def _caller_name(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()[:16]


def _is_known(given: str | None, tokens: Iterable[SecretStr]) -> bool:
    return any([_equal(given or "", token.get_secret_value()) for token in tokens])  # noqa: C419 - all of them


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode())


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
