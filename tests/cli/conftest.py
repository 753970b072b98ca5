"""Commands run on a small model without Keras."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from helpers.beep import BeepModel
from trigger_api import service
from trigger_api.model_card import ModelCard
from trigger_api.runtimes import LoadedModel, LoadOptions


@pytest.fixture
def numpy_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands load the test's model in NumPy, and no bundled ones."""

    def load(path: Path, card: ModelCard, *, options: LoadOptions) -> LoadedModel:
        if card.name == "broken":
            raise ValueError("half a file")
        return BeepModel()

    monkeypatch.setattr(service, "load", load)
    monkeypatch.setenv("TRIGGER_API_BUNDLED", "false")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def quiet() -> Iterator[None]:
    """Nothing is logged."""
    with structlog.testing.capture_logs():
        yield
