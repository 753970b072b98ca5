"""Every error as ``application/problem+json`` (RFC 9457), the one mapping from exceptions to HTTP.

Two members are added, ``success`` and ``error``, which clients of the services that this one replaces read.
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


def problem(
    status: int, detail: str, *, request_id: str, headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """One error answer: RFC 9457 plus ``success`` and ``error``."""
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
    return JSONResponse(body, status_code=int(status), headers=headers, media_type=PROBLEM_TYPE)


def internal_error(request_id: str) -> Response:
    """The answer to a fault of ours: it says nothing but where to look."""
    detail = "the server failed; its log has the cause under this request_id"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, request_id=request_id)


def install(app: FastAPI) -> None:
    """Map every kind of error to a problem."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.router.default = partial(_no_route, app.router.default)


async def _no_route(default: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """A WebSocket to nowhere learns so where the server can tell it; it would be an empty 403 otherwise."""
    if "websocket.http.response" in scope.get("extensions", {}):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    await default(scope, receive, send)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return problem(error.status, error.detail, request_id=_request_id(request), headers=error.headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return problem(error.status_code, str(error.detail), request_id=_request_id(request), headers=headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # The rejected value itself stays out: it may be a megabyte, or a secret.
    found, request_id = error.errors(), _request_id(request)
    faults = [{"loc": [str(part) for part in fault["loc"]], "msg": format_fault(fault)} for fault in found]
    if any(fault["type"] == "json_invalid" for fault in found):
        return problem(HTTPStatus.BAD_REQUEST, MALFORMED_JSON, request_id=request_id, errors=faults)
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, format_validation_errors(found), request_id=request_id, errors=faults
    )


def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
