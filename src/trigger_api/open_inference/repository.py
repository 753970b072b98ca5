"""The models of a registry as the Open Inference Protocol shows and controls them."""

from __future__ import annotations

import asyncio

from pydantic import JsonValue

from trigger_api.errors import Unprocessable
from trigger_api.open_inference.tensors import describe
from trigger_api.registry import ModelVersion, Registry, State

Answer = dict[str, JsonValue]
_STATES = {State.READY: "READY", State.LOADING: "LOADING"}


def metadata(registry: Registry, name: str, version: str | None) -> Answer:
    """The inputs and outputs of a model.

    Raises:
        UnknownModel: there is no such model or version.
    """
    card = registry.find(None, name, version).card
    versions = [each.card.version for each in registry.versions if each.card.name == name and each.model]
    return {
        "name": card.name,
        "versions": [*versions],
        "platform": "keras",
        "inputs": [describe(spec) for spec in card.inputs],
        "outputs": [describe(spec) for spec in card.outputs],
        "parameters": {"lengths": [*card.sequence_lengths], "task": card.task},
    }


def index(registry: Registry, *, ready: bool) -> list[Answer]:
    """Every version of every model, or only those that are ready."""
    return [_row(version) for version in registry.versions if version.model or not ready]


async def load(registry: Registry, name: str) -> None:
    """Load or reload the default version of a model.

    Raises:
        UnknownModel: there is no such model.
        Unprocessable: it was not loaded.
    """
    version = registry.find(None, name)
    await asyncio.to_thread(registry.load, version)
    if version.reason:
        raise Unprocessable(f"{name} was not loaded: {version.reason}")


def unload(registry: Registry, name: str) -> None:
    """Stop serving every version of a model.

    Raises:
        UnknownModel: there is no such model.
    """
    registry.find(None, name)
    for version in registry.versions:
        if version.card.name == name:
            registry.unload(version)


def _row(version: ModelVersion) -> Answer:
    return {
        "name": version.card.name,
        "version": version.card.version,
        "state": _STATES.get(version.state, "UNAVAILABLE"),
        "reason": version.reason,
    }
