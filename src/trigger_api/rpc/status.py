"""The gRPC status of an error: the one place that maps errors to gRPC."""

from __future__ import annotations

from http import HTTPStatus

import grpc

from trigger_api.errors import ServiceError
from trigger_api.open_inference.extensions import AbsentExtension

_CODES = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.CONFLICT: grpc.StatusCode.ABORTED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNPROCESSABLE_ENTITY: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.INSUFFICIENT_STORAGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def code_of(error: ServiceError) -> grpc.StatusCode:
    """The status code of an error."""
    if isinstance(error, AbsentExtension):
        return grpc.StatusCode.UNIMPLEMENTED
    return _CODES.get(error.status, grpc.StatusCode.INTERNAL)


def metadata_of(error: ServiceError) -> list[tuple[str, str]]:
    """What HTTP says in headers. gRPC's own clients read when to try again from a name of its own."""
    found = [(name.lower(), value) for name, value in error.headers.items()]
    if error.retry_after is not None:
        found.append(("grpc-retry-pushback-ms", str(max(1, round(error.retry_after * 1000)))))
    return found
