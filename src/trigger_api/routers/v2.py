"""The Open Inference Protocol, version 2: what Triton's and KServe's clients speak."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import Response
from pydantic import JsonValue

from trigger_api import __version__
from trigger_api.errors import BadRequest, NotReady, Unprocessable
from trigger_api.registry import ModelVersion, State
from trigger_api.routers import v2_codec
from trigger_api.routers.deps import Served, service_of
from trigger_api.server.auth import Administrator
from trigger_api.tasks.raw import Raw

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

_EXTENSIONS = ["binary_tensor_data", "model_repository"]
_DIGITS = 20  # of a number of bytes
_STATES = {State.READY: "READY", State.LOADING: "LOADING"}
Answer = dict[str, JsonValue]


# Read by hand: FastAPI's own reading of one header costs a tenth of a small model's request.
_BINARY: dict[str, Any] = {
    "parameters": [
        {
            "name": v2_codec.BINARY_HEADER,
            "in": "header",
            "description": "where the JSON ends, if tensors' bytes follow it",
            "schema": {"type": "integer", "minimum": 0},
        }
    ]
}


@router.post("/models/{name}/infer", openapi_extra=_BINARY)
async def model_infer(request: Request, name: str) -> Response:
    """Compute: JSON, or JSON with the tensors' bytes behind it."""
    return await _infer(request, name, None)


@router.post("/models/{name}/versions/{version}/infer", openapi_extra=_BINARY)
async def model_version_infer(request: Request, name: str, version: str) -> Response:
    """Compute by one version of a model."""
    return await _infer(request, name, version)


async def _infer(request: Request, name: str, version: str | None) -> Response:
    service, body = service_of(request), await request.body()
    asked, inputs = await service.engine.preprocess(v2_codec.decode, body, _json_length(request), size=len(body))
    done = await service.task(Raw).predict(inputs, model=name, version=version)
    size = sum(tensor.nbytes for tensor in done.outputs.values())
    body, length = await service.engine.preprocess(
        v2_codec.encode, asked, done.model, done.version, done.outputs, size=size
    )
    if length is None:
        return Response(body, media_type="application/json")
    return Response(body, media_type="application/octet-stream", headers={v2_codec.BINARY_HEADER: str(length)})


def _json_length(request: Request) -> int | None:
    given = request.headers.get(v2_codec.BINARY_HEADER)
    if given is not None and not (given.isascii() and given.isdecimal() and len(given) < _DIGITS):
        raise BadRequest(f"{v2_codec.BINARY_HEADER} must be a number of bytes")
    return None if given is None else int(given)


@router.get("")
async def server_metadata() -> Answer:
    """What serves here."""
    return {"name": "trigger_api", "version": __version__, "extensions": [*_EXTENSIONS]}


@router.get("/health/live")
@router.head("/health/live", include_in_schema=False)
async def server_live() -> Answer:
    """The process answers."""
    return {"live": True}


@router.get("/health/ready")
@router.head("/health/ready", include_in_schema=False)
async def server_ready(service: Served) -> Answer:
    """Every model has answered."""
    if not service.registry.ready:
        raise NotReady("models are loading, or one has failed", retry_after=2)
    return {"ready": True}


@router.get("/models/{name}", operation_id="model_metadata")
@router.get("/models/{name}/versions/{version}", operation_id="model_version_metadata")
async def model_metadata(service: Served, name: str, version: str | None = None) -> Answer:
    """A model's tensors."""
    card = service.registry.find(None, name, version).card
    served = [entry.card.version for entry in service.registry.versions if entry.card.name == name and entry.model]
    return {
        "name": card.name,
        "versions": [*served],
        "platform": "keras",
        "inputs": [v2_codec.describe(spec) for spec in card.inputs],
        "outputs": [v2_codec.describe(spec) for spec in card.outputs],
        "parameters": {"lengths": [*card.sequence_lengths], "task": card.task},
    }


@router.get("/models/{name}/ready", operation_id="model_ready")
@router.get("/models/{name}/versions/{version}/ready", operation_id="model_version_ready")
async def model_ready(service: Served, name: str, version: str | None = None) -> Answer:
    """Whether the model answers."""
    with service.registry.acquire(None, name, version) as model:
        return {"name": model.card.name, "ready": True}


@router.post("/repository/index")
async def repository_index(service: Served, ready: Annotated[bool, Body(embed=True)] = False) -> list[Answer]:
    """Every version of every model, or only those that answer."""
    return [_row(entry) for entry in service.registry.versions if entry.model or not ready]


@router.post("/repository/models/{name}/load", dependencies=[Administrator])
async def repository_load(service: Served, name: str) -> Answer:
    """Load a model's default version, or load it anew."""
    entry = service.registry.find(None, name)
    await asyncio.to_thread(service.registry.load, entry)
    if entry.reason:
        raise Unprocessable(f"{name} was not loaded: {entry.reason}")
    return {}


@router.post("/repository/models/{name}/unload", dependencies=[Administrator])
async def repository_unload(service: Served, name: str) -> Answer:
    """Stop serving every version of a model."""
    service.registry.find(None, name)
    for entry in service.registry.versions:
        if entry.card.name == name:
            service.registry.unload(entry)
    return {}


def _row(entry: ModelVersion) -> Answer:
    return {
        "name": entry.card.name,
        "version": entry.card.version,
        "state": _STATES.get(entry.state, "UNAVAILABLE"),
        "reason": entry.reason,
    }
