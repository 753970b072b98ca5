"""Which models are served, in which versions; and, for administrators, loading and unloading them."""

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
    return [_status(entry) for entry in service.registry.versions]


@router.get("/{name}")
async def get_model(service: Served, name: str, version: Version = None) -> ModelCard:
    """A model's card: what it takes, what it was trained on, and its measured figures."""
    return service.registry.find(None, name, version).card


@router.post("/{name}/load", dependencies=[Administrator])
async def load_model(service: Served, name: str, version: Version = None) -> ModelStatus:
    """Load a version, or load it anew, beside the serving one; then swap. Answers when that is done."""
    entry = service.registry.find(None, name, version)
    await asyncio.to_thread(service.registry.load, entry)
    if entry.reason:
        raise Unprocessable(f"{name} was not loaded: {entry.reason}")
    return _status(entry)


@router.post("/{name}/unload", dependencies=[Administrator])
async def unload_model(service: Served, name: str, version: Version = None) -> ModelStatus:
    """Stop serving a version. Requests that have begun on it are answered."""
    entry = service.registry.find(None, name, version)
    service.registry.unload(entry)
    return _status(entry)


def _status(entry: ModelVersion) -> ModelStatus:
    task, name, version = entry.key
    return ModelStatus(
        task=task,
        name=name,
        version=version,
        labels=sorted(entry.labels),
        state=entry.state.value,
        serving=entry.state is State.READY,
        reason=entry.reason,
        description=entry.card.description,
    )
