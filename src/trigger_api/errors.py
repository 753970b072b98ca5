"""The errors that a client should understand, each with its HTTP status.

::

    ServiceError                   500
    ├── Unauthenticated            401
    ├── Forbidden                  403
    ├── NotFound                   404
    │   └── UnknownModel           404
    ├── Conflict                   409
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
    │   ├── RateLimited            429
    │   └── Idle                   429
    ├── NotReady                   503
    ├── Overloaded                 503
    ├── StorageUnavailable         503
    ├── DeadlineExceeded           504
    └── InsufficientStorage        507
        ├── StorageFull            507
        └── QuotaExceeded          507
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any

MALFORMED_JSON = "failed to parse json, invalid format"
NOT_UTF8 = "not in UTF-8: send JSON in UTF-8, or name its charset in the Content-Type"
ONE_ONLY = "may be given only once"  # of a repeated field, all values but one of which would be ignored
FAILED_IMAGE = "failed to process image, try another image"
_FEW = 3
_NO_OBJECT, _OBJECT_FAULTS = "this must be a JSON object", ("model_type", "model_attributes_type")


class ServiceError(Exception):
    """The root. ``detail`` is the sentence that the client reads, ``members`` is what else the problem tells it."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    type = "about:blank"

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.members: dict[str, Any] = {}

    @property
    def error(self) -> str:
        """What clients of the original services compare."""
        return self.detail

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response."""
        return {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}


class Unauthenticated(ServiceError):
    """No token was sent, or an unknown one."""

    status = HTTPStatus.UNAUTHORIZED

    @property
    def headers(self) -> dict[str, str]:
        """The authentication scheme."""
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(ServiceError):
    """The client is authenticated, but may not do this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(ServiceError):
    """There is no such resource."""

    status = HTTPStatus.NOT_FOUND


class UnknownModel(NotFound):
    """There is no such task, model or version."""


class Conflict(ServiceError):
    """It exists already."""

    status = HTTPStatus.CONFLICT


class BadRequest(ServiceError):
    """The request itself is malformed."""

    status = HTTPStatus.BAD_REQUEST


class MalformedJson(BadRequest):
    """The body is not JSON, or not of the expected shape."""

    def __init__(self, detail: str = MALFORMED_JSON) -> None:
        super().__init__(detail)

    @classmethod
    def of(cls, body: bytes) -> MalformedJson:
        """The error for a body that is not JSON; its charset may be why."""
        try:
            body.decode()
        except UnicodeDecodeError:
            return cls(f"{MALFORMED_JSON}: the body is {NOT_UTF8}")
        return cls()

    @property
    def error(self) -> str:
        """The known text, at least at its start."""
        return self.detail if self.detail.startswith(MALFORMED_JSON) else MALFORMED_JSON


class TooLarge(ServiceError):
    """The input exceeds a limit of bytes, seconds, samples, pixels or characters, which the detail names."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMedia(ServiceError):
    """A format or encoding that is not supported."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unprocessable(ServiceError):
    """The request is well-formed, but its values are invalid."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class UnreadableMedia(Unprocessable):
    """A recording or picture that cannot be decoded: empty, truncated, or of another format than it claims."""


class TooManyRequests(ServiceError):
    """The client exceeds a limit on its use of the service."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class TooManyStreams(TooManyRequests):
    """The client has as many live streams open as it may have."""


class TooFast(TooManyRequests):
    """Live audio arrives faster than real time."""


class SlowReader(TooManyRequests):
    """The client does not read its messages fast enough."""


class RateLimited(TooManyRequests):
    """Too many requests in too short a time, or at once; ``policy`` names the limit.

    Its problem type is registered with IANA.
    """

    type = "https://iana.org/assignments/http-problem-types#quota-exceeded"

    def __init__(self, detail: str, *, policy: str, retry_after: float) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.members = {"violated-policies": [policy]}


class Idle(TooManyRequests):
    """A live stream has received no audio for too long."""


class NotReady(ServiceError):
    """A model is still loading, or failed to load."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Overloaded(ServiceError):
    """A queue is full; ``retry_after`` is the number of seconds until it should have room."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class StorageUnavailable(ServiceError):
    """The database cannot be reached. Predictions do not need it."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class DeadlineExceeded(ServiceError):
    """The request could not be answered in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class InsufficientStorage(ServiceError):
    """There is no room to save this."""

    status = HTTPStatus.INSUFFICIENT_STORAGE


class StorageFull(InsufficientStorage):
    """The database's disk is full."""


class QuotaExceeded(InsufficientStorage):
    """The account holds as many bytes as it may."""


def format_validation_errors(faults: Iterable[Mapping[str, Any]]) -> str:
    """Pydantic's errors as one sentence, each with its location."""
    places = ((".".join(map(str, fault["loc"])), fault) for fault in faults)
    return "; ".join(f"{place}: {format_fault(fault)}".removeprefix(": ") for place, fault in places)


def format_shape_errors(faults: Iterable[Mapping[str, Any]]) -> str:
    """Pydantic's errors in a JSON body as one sentence: the first few members that are missing or wrong."""
    return "; ".join(_format_member(fault) for fault in islice(faults, _FEW))


def _format_member(fault: Mapping[str, Any]) -> str:
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"])
    member = f"`{steps.removeprefix('.')}`" if steps else "body"
    if fault["type"] == "missing":
        return f"{member} is missing"
    return f"{member}: {_NO_OBJECT if fault['type'] in _OBJECT_FAULTS else format_fault(fault)}"


def format_fault(fault: Mapping[str, Any]) -> str:
    """One of pydantic's errors, in terms that do not depend on our classes or libraries."""
    message = str(fault["msg"]).removeprefix("Value error, ")
    if message.startswith("Expected UploadFile"):
        return "this must be a file"
    if fault["type"] == "model_type":
        return _NO_OBJECT
    if fault["type"] == "model_attributes_type":
        return f"{_NO_OBJECT}, sent as Content-Type: application/json"
    return message
