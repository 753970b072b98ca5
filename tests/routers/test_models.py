from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from helpers.beep import BeepModel, add_model, trigger_card
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.model_card import ModelCard
from trigger_api.runtimes import LoadedModel
from trigger_api.settings import Settings


@pytest.fixture
def app(models: Path, settings: Settings) -> FastAPI:
    """An application with two versions, the second of which is broken."""
    add_model(models, trigger_card(version="2"))

    def load(path: Path, card: ModelCard) -> LoadedModel:
        if card.version == "2":
            raise ValueError(f"{path} is half a file")
        return BeepModel()

    return create_app(settings, loader=load)


async def test_every_version_is_listed_with_why_it_failed(client: httpx.AsyncClient, models: Path) -> None:
    backbone, first, second = (await client.get("/v1/models")).json()
    assert (backbone["task"], backbone["name"], backbone["serving"]) == ("embedding", "beep-embedding", True)
    assert (first["name"], first["version"], first["state"], first["serving"]) == ("beep", "1", "ready", True)
    assert (second["version"], second["state"], second["serving"]) == ("2", "failed", False)
    assert second["reason"] == "ValueError: trigger/beep/2 is half a file"
    assert str(models) not in str(second)


async def test_a_models_card_is_returned(client: httpx.AsyncClient) -> None:
    card = ModelCard.model_validate((await client.get("/v1/models/beep", params={"version": "1"})).json())
    assert card.frame_ms == 80
    assert (await client.get("/v1/models/nix")).status_code == 404


async def test_a_model_is_loaded_and_unloaded(client: httpx.AsyncClient, two_beeps: bytes) -> None:
    unloaded = await client.post("/v1/models/beep/unload", params={"version": "1"})
    assert unloaded.json()["state"] == "unloaded"
    assert (await client.post("/v1/trigger", files={"audio": two_beeps})).status_code == 503
    loaded = await client.post("/v1/models/beep/load", params={"version": "1"})
    assert loaded.json()["state"] == "ready"
    pinned = await client.post("/v1/trigger", files={"audio": two_beeps}, data={"version": "1"})
    assert pinned.json()["version"] == "1"


async def test_the_reason_of_a_failed_load_is_returned(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/models/beep/load", params={"version": "2"})
    assert response.status_code == 422
    assert "half a file" in response.json()["detail"]


async def test_unauthenticated_callers_learn_nothing(app: FastAPI) -> None:
    async with started(app, host="203.0.113.9") as client:
        assert (await client.get("/v1/models")).status_code == 401
