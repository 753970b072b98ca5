"""Who may call: one dependency in front of every route."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from trigger_api.errors import Forbidden, Unauthenticated
from trigger_api.settings import Settings

_api_token = APIKeyHeader(name="X-Api-Token", auto_error=False, description="an API token")
_bearer = HTTPBearer(auto_error=False, description="an API token")

# A probe has no token, and learns nothing but a word.
PUBLIC_PATHS = frozenset({"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"})


@dataclass(frozen=True)
class Caller:
    """Who asks, as far as it matters; ``name`` tells callers apart and says nothing else."""

    admin: bool = False
    name: str = ""


async def authenticate(
    connection: HTTPConnection,
    api_token: Annotated[str | None, Security(_api_token)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller:
    """Let the request or the WebSocket through, or not.

    Raises:
        Unauthenticated: a token is needed, and none that we know was given.
        Forbidden: another site's page opens a WebSocket through the browser of somebody who needs no token.
    """
    settings: Settings = connection.app.state.settings
    given = api_token or (bearer.credentials if bearer else None) or _subprotocol_token(connection)
    host = connection.client.host if connection.client else None
    caller = identify(given, host, settings)
    if caller is None and connection.scope["path"] not in PUBLIC_PATHS:
        raise Unauthenticated("an API token is needed: send X-Api-Token, or Authorization: Bearer")
    if given is None and connection.scope["type"] == "websocket" and _is_foreign(connection, settings):
        raise Forbidden("this page may not open a WebSocket here")
    return replace(caller or Caller(), name=_name(given, host))


def identify(token: str | None, host: str | None, settings: Settings) -> Caller | None:
    """The caller behind a token and an address; None if it may not come in.

    Args:
        token: what was given, if anything.
        host: the caller's address; a Unix socket has none, and is local.
        settings: with the tokens that are known.
    """
    # Every token is compared, each in constant time: how long it takes tells nothing.
    admin, known = _among(token, settings.admin_tokens), _among(token, settings.tokens)
    if admin or known or settings.auth == "open":
        return Caller(admin)
    guarded = token is not None or settings.tokens or settings.admin_tokens
    local = host is None or is_loopback([host])
    return Caller(admin=True) if local and not guarded else None


async def administer(request: Request, caller: Annotated[Caller, Depends(authenticate)]) -> None:
    """Let only administrators through.

    Raises:
        Forbidden: the caller is none, or another site's page speaks through an administrator's browser.
    """
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Forbidden("this cannot be asked from another site")
    if not caller.admin:
        raise Forbidden("this takes an administrator's token")


Authenticated = Depends(authenticate)
Administrator = Depends(administer)


def is_loopback(hosts: Iterable[str]) -> bool:
    """Whether all of these addresses are this machine's own."""
    return all(host == "localhost" or _is_loopback_address(host) for host in hosts)


def _subprotocol_token(connection: HTTPConnection) -> str | None:
    """Browsers cannot send headers with a WebSocket: they offer `bearer.TOKEN` beside the protocol's name."""
    offered: list[str] = connection.scope.get("subprotocols", [])
    return next((name.removeprefix("bearer.") for name in offered if name.startswith("bearer.")), None)


def _is_foreign(connection: HTTPConnection, settings: Settings) -> bool:
    """Browsers let any page open a WebSocket to any host: whether this one's page is from somewhere else."""
    origin = connection.headers.get("origin")
    if origin is None or origin in settings.cors_origins or "*" in settings.cors_origins:
        return False
    return urlsplit(origin).netloc != connection.headers.get("host")


def _name(token: str | None, host: str | None) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()[:16] if token else host or "local"


def _among(given: str | None, tokens: Iterable[SecretStr]) -> bool:
    return any([_same(given or "", token.get_secret_value()) for token in tokens])  # noqa: C419 - all of them


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode())


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
