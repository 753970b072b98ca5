"""The cookie of a session.

Over HTTPS its name begins with ``__Host-``: browsers take such a cookie from this host alone, and send it back over
HTTPS alone, so that no other host of the domain can plant one. Over plain HTTP that is impossible, and a session is
opened only where nobody can listen: on the machine itself, unless the settings allow more.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION_COOKIE, _PLAIN_COOKIE = "__Host-trigger_api_session", "trigger_api_session"


def is_https(connection: HTTPConnection) -> bool:
    """Whether the client, or the proxy that it spoke to, used TLS."""
    return connection.scope.get("scheme") in ("https", "wss")


def session_secret(connection: HTTPConnection) -> str | None:
    """The secret in the cookie of a session, if there is one."""
    if "cookie" not in connection.headers:
        return None
    return connection.cookies.get(_name(connection))


def set_session(connection: HTTPConnection, response: Response, secret: str, max_age: int) -> None:
    """Give the browser the cookie of a session, for ``max_age`` seconds."""
    secure = is_https(connection)
    response.set_cookie(
        _name(connection), secret, max_age=max_age, path="/", secure=secure, httponly=True, samesite="lax"
    )


def delete_session(connection: HTTPConnection, response: Response) -> None:
    """Have the browser delete the cookie of its session."""
    secure = is_https(connection)
    response.delete_cookie(_name(connection), path="/", secure=secure, httponly=True, samesite="lax")


def _name(connection: HTTPConnection) -> str:
    return SESSION_COOKIE if is_https(connection) else _PLAIN_COOKIE
