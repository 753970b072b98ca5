"""The models that are served, in which versions; and, for administrators, loading and unloading them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from trigger_api.errors import Unprocessable
from trigger_api.model_card import ModelCard
from trigger_api.registry import ModelVersion, State
from trigger_api.routers.deps import Served
from trigger_api.schemas import ModelStatus
from trigger_api.server.auth import Administrator

router = APIRouter(prefix="/v1/models", tags=["models"])

Version = Annotated[str | None, Query(max_length=64, description="a number, a label, or `latest`")]


@router.get("")
async def list_models(service: Served) -> list[ModelStatus]:
    """Every version of every model; a task's first is its default."""
    return [_status(version) for version in service.registry.versions]


@router.get("/{name}")
async def get_model(service: Served, name: str, version: Version = None) -> ModelCard:
    """A model's card: its inputs and outputs, training data, and measured figures."""
    return service.registry.find(None, name, version).card


@router.post("/{name}/load", dependencies=[Administrator])
async def load_model(service: Served, name: str, version: Version = None) -> ModelStatus:
    """Load or reload a version beside the serving one, then swap them. The answer comes when that is done."""
    found = service.registry.find(None, name, version)
    await asyncio.to_thread(service.registry.load, found)
    if found.reason:
        raise Unprocessable(f"{name} was not loaded: {found.reason}")
    return _status(found)


@router.post("/{name}/unload", dependencies=[Administrator])
async def unload_model(service: Served, name: str, version: Version = None) -> ModelStatus:
    """Stop serving a version. Requests that it has begun are finished."""
    found = service.registry.find(None, name, version)
    service.registry.unload(found)
    return _status(found)


def _status(version: ModelVersion) -> ModelStatus:
    task, name, number = version.key
    return ModelStatus(
        task=task,
        name=name,
        version=number,
        labels=sorted(version.labels),
        state=version.state.value,
        serving=version.state is State.READY,
        reason=version.reason,
        description=version.card.description,
    )
