"""Everything that can go wrong in a way a caller should understand, and its one mapping to HTTP.

::

    ServiceError                   500
    ├── Unauthenticated            401
    ├── Forbidden                  403
    ├── NotFound                   404
    │   └── UnknownModel           404
    ├── BadRequest                 400
    │   └── MalformedJson          400
    ├── TooLarge                   413
    ├── UnsupportedMedia           415
    ├── Unprocessable              422
    │   └── UnreadableMedia        422
    ├── TooManyRequests            429
    │   ├── TooManyStreams         429
    │   ├── TooFast                429
    │   ├── SlowReader             429
    │   └── Idle                   429
    ├── NotReady                   503
    ├── Overloaded                 503
    └── DeadlineExceeded           504

Every error leaves the server as ``application/problem+json`` (RFC 9457) with two members more, ``success`` and
``error``, which clients of the services this one replaces read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

PROBLEM_TYPE = "application/problem+json"
MALFORMED_JSON = "failed to parse json, invalid format"
ONE_ONLY = "there may be one only"  # of a field that was given again: either value would be passed over
FAILED_IMAGE = "failed to process image, try another image"


class ServiceError(Exception):
    """The root. ``str(error)`` is the sentence the caller reads."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}


class Unauthenticated(ServiceError):
    """No token was given, or an unknown one."""

    status = HTTPStatus.UNAUTHORIZED

    @property
    def headers(self) -> dict[str, str]:
        """The scheme to come back with."""
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(ServiceError):
    """The caller is known and may not do this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(ServiceError):
    """There is no such thing."""

    status = HTTPStatus.NOT_FOUND


class UnknownModel(NotFound):
    """No model of that task, name or version is served."""


class BadRequest(ServiceError):
    """The request itself is malformed."""

    status = HTTPStatus.BAD_REQUEST


class MalformedJson(BadRequest):
    """A body that should be JSON of a known shape is not."""

    def __init__(self, detail: str = MALFORMED_JSON) -> None:
        super().__init__(detail)


class TooLarge(ServiceError):
    """The input is over a limit: bytes, seconds, samples, pixels or characters. The detail names it."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMedia(ServiceError):
    """A container or coding that is not read here."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unprocessable(ServiceError):
    """Well-formed, but its values make no sense."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class UnreadableMedia(Unprocessable):
    """A recording or picture that cannot be decoded: empty, truncated, lying or not what its name says."""


class TooManyRequests(ServiceError):
    """The caller does not keep to what is agreed on."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class TooManyStreams(TooManyRequests):
    """A caller has as many live streams open as one may have."""


class TooFast(TooManyRequests):
    """Live audio comes faster than real time."""


class SlowReader(TooManyRequests):
    """The client does not read what it is sent."""


class Idle(TooManyRequests):
    """A live stream has brought no audio for too long."""


class NotReady(ServiceError):
    """A model is still loading, or failed to load."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Overloaded(ServiceError):
    """A queue is full; ``retry_after`` says in how many seconds it should have room."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class DeadlineExceeded(ServiceError):
    """The answer would come too late."""

    status = HTTPStatus.GATEWAY_TIMEOUT


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
    faults = [{"loc": [str(part) for part in fault["loc"]], "msg": _in_words(fault)} for fault in found]
    if any(fault["type"] == "json_invalid" for fault in found):
        return problem(HTTPStatus.BAD_REQUEST, MALFORMED_JSON, request_id=request_id, errors=faults)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, in_words(found), request_id=request_id, errors=faults)


def in_words(faults: Iterable[Mapping[str, Any]]) -> str:
    """What pydantic found wrong, each with its place."""
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {_in_words(fault)}".removeprefix(": ") for fault in faults)


def _in_words(fault: Mapping[str, Any]) -> str:
    """What is wrong with a value, for people who see neither our classes nor our libraries."""
    message = str(fault["msg"]).removeprefix("Value error, ")
    if message.startswith("Expected UploadFile"):
        return "this must be a file"
    if fault["type"] == "model_attributes_type":
        return "this must be a JSON object, sent as Content-Type: application/json"
    return message


def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
