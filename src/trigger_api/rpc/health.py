"""gRPC's own health protocol, which Kubernetes and load balancers ask.

Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md. ``Watch`` is left out, as it may be: clients
then take the server for healthy.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2 as messages

from trigger_api.errors import NotFound
from trigger_api.rpc import inference
from trigger_api.rpc.calls import Call, Method

SERVICE: Final = "grpc.health.v1.Health"
_Status = messages.HealthCheckResponse


async def _check(call: Call, request: Any) -> Message:
    """Whether every model is ready."""
    if request.service not in ("", inference.SERVICE):
        raise NotFound("there is no such service")
    ready = call.service.registry.ready
    return _Status(status=_Status.SERVING if ready else _Status.NOT_SERVING)


METHODS: Final = {"Check": Method(messages.HealthCheckRequest.FromString, _check, "/health/ready")}
