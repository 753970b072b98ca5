"""Everything that can go wrong in a way that a caller should understand, with the HTTP status that says so.

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
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

MALFORMED_JSON = "failed to parse json, invalid format"
ONE_ONLY = "may be given only once"  # of a repeated field, all values but one of which would be ignored
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


def format_validation_errors(faults: Iterable[Mapping[str, Any]]) -> str:
    """What pydantic found wrong, each fault with its place."""
    places = ((".".join(map(str, fault["loc"])), fault) for fault in faults)
    return "; ".join(f"{place}: {format_fault(fault)}".removeprefix(": ") for place, fault in places)


def format_fault(fault: Mapping[str, Any]) -> str:
    """What is wrong with a value, for people who see neither our classes nor our libraries."""
    message = str(fault["msg"]).removeprefix("Value error, ")
    if message.startswith("Expected UploadFile"):
        return "this must be a file"
    if fault["type"] == "model_attributes_type":
        return "this must be a JSON object, sent as Content-Type: application/json"
    return message
