"""Authentication and authorisation: one dependency in front of every route."""

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

# For the OpenAPI document. FastAPI could derive this, but would resolve two more dependencies on every request.
SCHEMES: dict[str, dict[str, Any]] = {
    "APIKeyHeader": {"type": "apiKey", "description": "an API token", "in": "header", "name": "X-Api-Token"},
    "HTTPBearer": {"type": "http", "description": "an API token", "scheme": "bearer"},
}

UNAUTHENTICATED = (
    "an API token is required: send it as X-Api-Token or Authorization: Bearer "
    "(a server without tokens accepts requests from its own machine only)"
)

_PORT = re.compile(r":\d*$")

# Health probes send no token, and learn nothing but the status.
PUBLIC_PATHS = frozenset({"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"})


@dataclass(frozen=True)
class Caller:
    """The sender of a request. ``name`` distinguishes callers and reveals nothing else about them."""

    admin: bool = False
    name: str = ""


async def authenticate(connection: HTTPConnection) -> Caller:
    """Authenticate a request or a WebSocket; the dependency of every route.

    Raises:
        Unauthenticated: a token is required, and no valid one was sent.
        Forbidden: a page of another site opens a WebSocket through the browser of somebody who needs no token.
    """
    settings: Settings = connection.app.state.settings
    caller = authenticate_request(connection, settings)
    if caller is None:
        raise Unauthenticated(UNAUTHENTICATED)
    if connection.scope["type"] == "websocket" and not _tokens(connection) and _is_foreign(connection, settings):
        raise Forbidden("pages of another site may not open a WebSocket to this server")
    return caller


def authenticate_request(connection: HTTPConnection, settings: Settings) -> Caller | None:
    """The caller of a request, None if it is not authenticated. Health probes pass as an anonymous caller.

    The middleware asks first and the route again, so the result is kept in the request's state.
    """
    state = connection.scope.setdefault("state", {})
    if "caller" not in state:
        state["caller"] = _resolve(connection, settings)
    caller: Caller | None = state["caller"]
    return caller


def resolve_caller(token: str | None, hosts: Iterable[str], settings: Settings) -> Caller | None:
    """The caller with a token and an address, None if it is not authenticated.

    Args:
        token: the token that was sent, if any.
        hosts: the client's address and the name in its ``Host`` header, where known. A Unix socket has no address and
            counts as local. The header matters because of DNS rebinding: a browser on this machine that uses a
            stranger's name for it speaks for the stranger.
        settings: hold the valid tokens.
    """
    # Every token is compared, and in constant time, so that the time taken reveals nothing.
    admin, known = _is_known(token, settings.admin_tokens), _is_known(token, settings.tokens)
    if admin or known or settings.auth == "open":
        return Caller(admin)
    has_tokens = settings.tokens or settings.admin_tokens
    return Caller(admin=True) if not has_tokens and is_loopback(hosts) else None


async def require_admin(request: Request, caller: Annotated[Caller, Depends(authenticate)]) -> None:
    """Require an administrator; a dependency.

    Raises:
        Forbidden: the caller is not one, or a page of another site acts through an administrator's browser.
    """
    settings: Settings = request.app.state.settings
    foreign = not _tokens(request) and _is_foreign(request, settings)
    if foreign or request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Forbidden("this request may not come from a page of another site")
    if not caller.admin:
        raise Forbidden("this requires an administrator's token")


Authenticated = Depends(authenticate)
Administrator = Depends(require_admin)


def is_loopback(hosts: Iterable[str]) -> bool:
    """Whether all of these hosts are this machine itself."""
    return all(_is_loopback(host) for host in hosts)


def _resolve(connection: HTTPConnection, settings: Settings) -> Caller | None:
    given = _tokens(connection)
    host = connection.client.host if connection.client else None
    hosts = [*([host] if host else []), *_host_header(connection)]
    # Without a token too: a server without tokens accepts loopback callers.
    known = [caller for token in [*given, None] if (caller := resolve_caller(token, hosts, settings))]
    if not known and not _is_public(connection):
        return None
    return Caller(admin=any(caller.admin for caller in known), name=_caller_name(given[0] if given else None, host))


def _host_header(connection: HTTPConnection) -> list[str]:
    """The name in the ``Host`` header, without the port."""
    name = connection.headers.get("host", "")
    return [_PORT.sub("", name)] if name else []


def _tokens(connection: HTTPConnection) -> list[str]:
    """Every token in the request: one may be a proxy's, and another the caller's."""
    scheme, _, credentials = connection.headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    # Browsers cannot set headers on a WebSocket: they offer `bearer.TOKEN` as a second subprotocol.
    offered = [name.removeprefix("bearer.") for name in _subprotocols(connection) if name.startswith("bearer.")]
    return [token for token in (connection.headers.get("x-api-token", ""), bearer, *offered) if token]


def _subprotocols(connection: HTTPConnection) -> list[str]:
    offered: list[str] = connection.scope.get("subprotocols", [])
    return offered


def _is_public(connection: HTTPConnection) -> bool:
    path: str = connection.scope["path"]
    return path.removeprefix(connection.scope.get("root_path", "")) in PUBLIC_PATHS


def _is_foreign(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether a page of another origin sent this: browsers let any page open a WebSocket to any host."""
    origin = connection.headers.get("origin")
    if origin is None or origin in settings.cors_origins or "*" in settings.cors_origins:
        return False
    return urlsplit(origin).netloc != connection.headers.get("host")


def _caller_name(token: str | None, host: str | None) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()[:16] if token else host or "local"


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
