"""The Open Inference Protocol, version 2, which the clients of Triton and KServe use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from trigger_api import __version__
from trigger_api.errors import BadRequest, NotReady
from trigger_api.open_inference import repository
from trigger_api.open_inference.extensions import PRESENT, AbsentExtension
from trigger_api.open_inference.repository import Answer
from trigger_api.routers import v2_codec, v2_history
from trigger_api.routers.deps import Served, service_of
from trigger_api.routers.direct import read_body
from trigger_api.server.auth import Administrator
from trigger_api.tasks.raw import Raw

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

_MAX_DIGITS = 20  # of a number of bytes


# Read without FastAPI, which would take most of a small model's request; see `routers/direct.py`.
_INFER: dict[str, Any] = {
    "parameters": [
        {
            "name": v2_codec.BINARY_HEADER,
            "in": "header",
            "description": "the length of the JSON, if binary tensors follow it",
            "schema": {"type": "integer", "minimum": 0},
        },
        v2_history.PARAMETER,
    ],
    "requestBody": v2_codec.REQUEST_BODY,
}


@router.post("/models/{name}/infer", openapi_extra=_INFER)
async def model_infer(request: Request, name: str) -> Response:
    """Infer: JSON, or JSON followed by binary tensors."""
    return await _infer(request, name, None)


@router.post("/models/{name}/versions/{version}/infer", openapi_extra=_INFER)
async def model_version_infer(request: Request, name: str, version: str) -> Response:
    """Infer with one version of a model."""
    return await _infer(request, name, version)


DIRECT = [route for route in router.routes if isinstance(route, APIRoute)]


async def _infer(request: Request, name: str, version: str | None) -> Response:
    recorder = v2_history.recorder(request)
    service, body = service_of(request), await read_body(request)
    parsed, inputs = await service.engine.preprocess(v2_codec.decode, body, _json_length(request), size=len(body))
    result = await service.task(Raw).predict(inputs, model=name, version=version)
    size = sum(tensor.nbytes for tensor in result.outputs.values())
    answer = result.model, result.version, result.outputs, result.labels
    body, length = await service.engine.preprocess(v2_codec.encode, parsed, *answer, size=size)
    headers = await recorder.keep(*answer[:3]) if recorder else {}
    if length is None:
        return Response(body, media_type="application/json", headers=headers)
    headers[v2_codec.BINARY_HEADER] = str(length)
    return Response(body, media_type="application/octet-stream", headers=headers)


def _json_length(request: Request) -> int | None:
    length = request.headers.get(v2_codec.BINARY_HEADER)
    if length is not None and not (length.isascii() and length.isdecimal() and len(length) < _MAX_DIGITS):
        raise BadRequest(f"{v2_codec.BINARY_HEADER} must be a number of bytes")
    return None if length is None else int(length)


@router.get("")
@router.get("/", include_in_schema=False)
async def server_metadata() -> Answer:
    """The server and its extensions."""
    return {"name": "trigger_api", "version": __version__, "extensions": [*PRESENT]}


@router.get("/health/live")
@router.head("/health/live", include_in_schema=False)
async def server_live() -> Answer:
    """Whether the process is alive."""
    return {"live": True}


@router.get("/health/ready")
@router.head("/health/ready", include_in_schema=False)
async def server_ready(service: Served) -> Answer:
    """Whether every model is ready."""
    if not service.registry.ready:
        raise NotReady("models are loading, or one has failed", retry_after=2)
    return {"ready": True}


@router.get("/models/stats", include_in_schema=False)
async def statistics() -> Answer:
    """What Triton tells about all models; before the route of one model, whose name it would be taken for."""
    raise AbsentExtension("statistics")


@router.get("/models/{name}", operation_id="model_metadata")
@router.get("/models/{name}/versions/{version}", operation_id="model_version_metadata")
async def model_metadata(service: Served, name: str, version: str | None = None) -> Answer:
    """The inputs and outputs of a model."""
    return repository.metadata(service.registry, name, version)


@router.get("/models/{name}/ready", operation_id="model_ready")
@router.get("/models/{name}/versions/{version}/ready", operation_id="model_version_ready")
async def model_ready(service: Served, name: str, version: str | None = None) -> Answer:
    """Whether the model is ready."""
    with service.registry.acquire(None, name, version) as model:
        return {"name": model.card.name, "ready": True}


@router.post("/repository/index")
async def repository_index(service: Served, ready: Annotated[bool, Body(embed=True)] = False) -> list[Answer]:
    """Every version of every model, or only those that are ready."""
    return repository.index(service.registry, ready=ready)


@router.post("/repository/models/{name}/load", dependencies=[Administrator])
async def repository_load(service: Served, name: str) -> Answer:
    """Load or reload the default version of a model."""
    await repository.load(service.registry, name)
    return {}


@router.post("/repository/models/{name}/unload", dependencies=[Administrator])
async def repository_unload(service: Served, name: str) -> Answer:
    """Stop serving every version of a model."""
    repository.unload(service.registry, name)
    return {}
