"""Who may call: one dependency in front of every route."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from trigger_api.errors import Unauthenticated
from trigger_api.settings import Settings

_api_token = APIKeyHeader(name="X-Api-Token", auto_error=False, description="an API token")
_bearer = HTTPBearer(auto_error=False, description="an API token")

# A probe has no token, and learns nothing but a word.
PUBLIC_PATHS = frozenset({"/health/live", "/health/ready"})


async def authenticate(
    request: Request,
    api_token: Annotated[str | None, Security(_api_token)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> None:
    """Let the request through, or not.

    Raises:
        Unauthenticated: a token is needed, and none that we know was given.
    """
    settings: Settings = request.app.state.settings
    given = api_token or (bearer.credentials if bearer else None)
    if request.scope["path"] in PUBLIC_PATHS or settings.auth == "open" or _known(given, settings):
        return
    if given is None and not settings.tokens and _is_local(request):
        return
    raise Unauthenticated("an API token is needed: send X-Api-Token, or Authorization: Bearer")


Authenticated = Depends(authenticate)


def is_loopback(hosts: Iterable[str]) -> bool:
    """Whether all of these addresses are this machine's own."""
    return all(host == "localhost" or _is_loopback_address(host) for host in hosts)


def _known(given: str | None, settings: Settings) -> bool:
    # Every token is compared, each in constant time: how long it takes tells nothing.
    matches = [_same(given or "", token.get_secret_value()) for token in settings.tokens]
    return any(matches)


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode())


def _is_local(request: Request) -> bool:
    return request.client is None or is_loopback([request.client.host])  # a Unix socket has no client address


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
