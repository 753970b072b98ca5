"""Who may call: one dependency in front of every route."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from trigger_api.errors import Forbidden, Unauthenticated
from trigger_api.settings import Settings

# What the OpenAPI document says of it. FastAPI would write this too, and solve two more dependencies for each request.
SCHEMES: dict[str, dict[str, Any]] = {
    "APIKeyHeader": {"type": "apiKey", "description": "an API token", "in": "header", "name": "X-Api-Token"},
    "HTTPBearer": {"type": "http", "description": "an API token", "scheme": "bearer"},
}

UNAUTHENTICATED = (
    "an API token is needed: send X-Api-Token or Authorization: Bearer "
    "(where no token is set, only this machine itself may call)"
)

_PORT = re.compile(r":\d*$")

# A probe has no token, and learns nothing but a word.
PUBLIC_PATHS = frozenset({"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"})


@dataclass(frozen=True)
class Caller:
    """Who asks, as far as it matters; ``name`` tells callers apart and says nothing else."""

    admin: bool = False
    name: str = ""


async def authenticate(connection: HTTPConnection) -> Caller:
    """Let the request or the WebSocket through, or not.

    Raises:
        Unauthenticated: a token is needed, and none that we know was given.
        Forbidden: another site's page opens a WebSocket through the browser of somebody who needs no token.
    """
    settings: Settings = connection.app.state.settings
    caller = authenticate_request(connection, settings)
    if caller is None:
        raise Unauthenticated(UNAUTHENTICATED)
    if connection.scope["type"] == "websocket" and not _tokens(connection) and _is_foreign(connection, settings):
        raise Forbidden("this page may not open a WebSocket here")
    return caller


def authenticate_request(connection: HTTPConnection, settings: Settings) -> Caller | None:
    """Who is at the door; None if it may not come in. Probes come in as nobody in particular.

    The gate asks, and then the route does: the answer is looked for once.
    """
    state = connection.scope.setdefault("state", {})
    if "caller" not in state:
        state["caller"] = _resolve(connection, settings)
    caller: Caller | None = state["caller"]
    return caller


def resolve_caller(token: str | None, hosts: Iterable[str], settings: Settings) -> Caller | None:
    """The caller behind a token and an address; None if it may not come in.

    Args:
        token: what was given, if anything.
        hosts: the caller's address, and the name by which it calls this machine, as far as there are any: a Unix socket
            has no address, and is local. A browser on this machine that was given a stranger's name for it (DNS
            rebinding) asks for the stranger.
        settings: with the tokens that are known.
    """
    # Every token is compared, each in constant time: how long it takes tells nothing.
    admin, known = _among(token, settings.admin_tokens), _among(token, settings.tokens)
    if admin or known or settings.auth == "open":
        return Caller(admin)
    guarded = settings.tokens or settings.admin_tokens
    return Caller(admin=True) if not guarded and is_loopback(hosts) else None


async def require_admin(request: Request, caller: Annotated[Caller, Depends(authenticate)]) -> None:
    """Let only administrators through.

    Raises:
        Forbidden: the caller is none, or another site's page speaks through an administrator's browser.
    """
    settings: Settings = request.app.state.settings
    foreign = not _tokens(request) and _is_foreign(request, settings)
    if foreign or request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Forbidden("this cannot be asked from another site")
    if not caller.admin:
        raise Forbidden("this takes an administrator's token")


Authenticated = Depends(authenticate)
Administrator = Depends(require_admin)


def is_loopback(hosts: Iterable[str]) -> bool:
    """Whether all of these addresses are this machine's own."""
    return all(_is_loopback(host) for host in hosts)


def _resolve(connection: HTTPConnection, settings: Settings) -> Caller | None:
    given = _tokens(connection)
    host = connection.client.host if connection.client else None
    hosts = [*([host] if host else []), *_named(connection)]
    # No token at all is tried too: it lets loopback callers in where there are no tokens.
    known = [caller for token in [*given, None] if (caller := resolve_caller(token, hosts, settings))]
    if not known and not _is_public(connection):
        return None
    return Caller(admin=any(caller.admin for caller in known), name=_name(given[0] if given else None, host))


def _named(connection: HTTPConnection) -> list[str]:
    """The name by which the caller calls this machine, without the port."""
    name = connection.headers.get("host", "")
    return [_PORT.sub("", name)] if name else []


def _tokens(connection: HTTPConnection) -> list[str]:
    """Every token that came along: one may be a proxy's, and another the caller's."""
    scheme, _, credentials = connection.headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    # Browsers cannot send headers with a WebSocket: they offer `bearer.TOKEN` beside the protocol's name.
    offered = [name.removeprefix("bearer.") for name in _subprotocols(connection) if name.startswith("bearer.")]
    return [token for token in (connection.headers.get("x-api-token", ""), bearer, *offered) if token]


def _subprotocols(connection: HTTPConnection) -> list[str]:
    offered: list[str] = connection.scope.get("subprotocols", [])
    return offered


def _is_public(connection: HTTPConnection) -> bool:
    path: str = connection.scope["path"]
    return path.removeprefix(connection.scope.get("root_path", "")) in PUBLIC_PATHS


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


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
