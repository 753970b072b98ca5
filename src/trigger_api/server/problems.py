"""Problem responses (RFC 9457): the one place that maps exceptions to HTTP.

The members ``success`` and ``error`` are added for clients of the services that this one replaces.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from trigger_api.errors import MALFORMED_JSON, ServiceError, format_fault, format_validation_errors

PROBLEM_TYPE = "application/problem+json"


def error_type(path: str) -> str:
    """The media type of errors on a path: the Open Inference Protocol wants plain JSON."""
    return "application/json" if path.startswith("/v2") else PROBLEM_TYPE


class _ProblemResponse(JSONResponse):
    """A problem, in the media type of the path that it answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        self.headers["content-type"] = error_type(path)
        await super().__call__(scope, receive, send)


def problem(
    status: int, detail: str, *, request_id: str, headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """An error response: RFC 9457's members plus ``success`` and ``error``."""
    body = {
        "type": "about:blank",
        "title": _title(status),
        "status": status,
        "detail": detail,
        "request_id": request_id,
        "success": False,
        "error": detail,
        **members,
    }
    return _ProblemResponse(body, status_code=int(status), headers=headers)


def error_response(error: ServiceError, request_id: str) -> Response:
    """The problem response for one of our own exceptions."""
    members = {"type": error.type, "error": error.error, **error.members}
    return problem(error.status, error.detail, request_id=request_id, headers=error.headers, **members)


def http_error_response(error: HTTPException, request_id: str) -> Response:
    """The problem response for an exception of Starlette's."""
    return problem(error.status_code, str(error.detail), request_id=request_id, headers=dict(error.headers or {}))


def id_of(scope: Scope) -> str:
    """The id of a request, which its log lines have, too; empty before it has one."""
    return str(scope.get("state", {}).get("request_id", ""))


def internal_error(request_id: str) -> Response:
    """The response to an unexpected exception, which reveals nothing but where to look."""
    detail = "internal error; see the server's log for this request_id"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, request_id=request_id)


def install(app: FastAPI) -> None:
    """Register the handlers that turn every error into a problem response."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.router.default = partial(_no_route, app.router.default)


async def _no_route(default: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a WebSocket to an unknown path with 404 where the server supports it, instead of an empty 403."""
    if "websocket.http.response" in scope.get("extensions", {}):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    await default(scope, receive, send)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return error_response(error, id_of(request.scope))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return http_error_response(error, id_of(request.scope))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Without the rejected value: it may be a megabyte, or a secret.
    found, request_id = error.errors(), id_of(request.scope)
    faults = [{"loc": [str(part) for part in fault["loc"]], "msg": format_fault(fault)} for fault in found]
    if any(fault["type"] == "json_invalid" for fault in found):
        return problem(HTTPStatus.BAD_REQUEST, MALFORMED_JSON, request_id=request_id, errors=faults)
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, format_validation_errors(found), request_id=request_id, errors=faults
    )


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
