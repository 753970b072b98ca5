"""Requests that schemathesis generates from the OpenAPI document never make the service fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from starlette.testclient import TestClient

from helpers.beep import BeepModel
from helpers.printed_digits import PrintedDigitsModel, add_digits
from trigger_api.app import create_app
from trigger_api.runtimes import LoadedModel
from trigger_api.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def operations(settings: Settings, network: BeepModel, models: Path, quick_passwords: None) -> Iterator[list[Any]]:
    """Every operation of the running application."""
    add_digits(models)
    networks: dict[str, LoadedModel] = {"trigger": network, "embedding": network, "digits": PrintedDigitsModel()}
    changes = {"auth": "open", "database_url": f"sqlite:///{models}/database.sqlite3"}
    changed = Settings(**{**settings.model_dump(exclude_unset=True), **changes})
    app = create_app(changed, loader=lambda path, card: networks[card.task])
    with TestClient(app) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        schema = schemathesis.openapi.from_asgi("/openapi.json", app).exclude(path="/v1/trigger/events")  # has no end
        yield [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def test_no_request_breaks_the_service(operations: list[Any]) -> None:
    assert len(operations) >= 5
    for operation in operations:
        send_many(operation)


def send_many(operation: Any) -> None:
    @given(case=operation.as_strategy())
    @hypothesis_settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def attack(case: Any) -> None:
        case.call_and_validate(checks=[not_a_server_error])

    attack()
