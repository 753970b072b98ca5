"""Where a request comes from: the page that sent it, and the client's address."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from trigger_api.settings import Settings

CROSS_SITE = "this request may not come from a page of another site"
_ADDRESS = 64  # characters; a proxy may pass anything on
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def is_foreign(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether a page of another origin sent this, which the settings do not name."""
    known = settings.cors_origins
    return "*" not in known and connection.headers.get("origin") not in known and is_other_origin(connection)


def is_other_origin(connection: HTTPConnection) -> bool:
    """Whether a page of another origin sent this: browsers let any page open a WebSocket to any host."""
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != connection.headers.get("host")


def is_other_site(connection: HTTPConnection) -> bool:
    """Whether the browser says that a page of another origin sent this. Only browsers say anything."""
    return connection.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def is_cross_site(connection: HTTPConnection) -> bool:
    """Whether a page of another origin would do something with a cookie that the browser added to its request.

    Every browser of the last years says where a request comes from. What says nothing is no browser, and has no
    cookies of others. Origins that the settings name send tokens; cookies are for our own pages.
    """
    if connection.scope.get("method") in _SAFE:  # a WebSocket has no method, and may do anything
        return False
    if "sec-fetch-site" in connection.headers:
        return is_other_site(connection)
    return is_other_origin(connection)


def client_address(connection: HTTPConnection) -> str:
    """The client's address, as far as it is one; that of a Unix socket is `local`."""
    return connection.client.host[:_ADDRESS] if connection.client else "local"
