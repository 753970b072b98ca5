"""The Open Inference Protocol's own OpenAPI document: requests that it allows are answered as it says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from helpers.beep import BeepModel
from trigger_api.app import create_app
from trigger_api.settings import Settings

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# specification/protocol/open_inference_rest.yaml of kserve/open-inference-protocol, which the GitHub workflow fetches.
SPECIFICATION = os.environ.get("OPEN_INFERENCE_SPECIFICATION")
MODEL = {"MODEL_NAME": "beep", "MODEL_VERSION": "1"}
INFERENCE: Any = {
    "inputs": [{"name": "embeddings", "shape": [1, 3, 2], "datatype": "FP32", "data": [0, 1, 2, 3, 4, 5]}],
    "outputs": [{"name": "scores"}],
    "id": "42",
}


@pytest.fixture
def client(settings: Settings, network: BeepModel) -> Iterator[TestClient]:
    app = create_app(settings.model_copy(update={"auth": "open"}), loader=lambda path, card: network)
    with TestClient(app) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        yield client


@pytest.mark.skipif(SPECIFICATION is None, reason="OPEN_INFERENCE_SPECIFICATION does not name the protocol's document")
def test_the_service_does_what_the_protocols_own_document_says(client: TestClient) -> None:
    assert SPECIFICATION is not None
    schema = schemathesis.openapi.from_dict(for_model(yaml.safe_load(Path(SPECIFICATION).read_text(encoding="utf-8"))))
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) >= 6
    for operation in operations:
        send_many(client, operation)
        if operation.method == "post":
            case = operation.Case(path_parameters=MODEL, body=INFERENCE)
            assert validated(client, case)["outputs"][0]["shape"] == [1, 1]


def for_model(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the paths of one model; it writes ``${NAME}`` for a parameter."""
    paths = {path.replace("${", "{"): item for path, item in document["paths"].items()}
    for item in paths.values():
        for parameter in item.get("parameters", ()):
            parameter["schema"] = {"type": "string", "enum": [MODEL[parameter["name"]]]}
    return {**document, "paths": paths}


def send_many(client: TestClient, operation: Any) -> None:
    @given(case=operation.as_strategy())
    @hypothesis_settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def send(case: Any) -> None:
        validated(client, case)

    send()


def validated(client: TestClient, case: Any) -> Any:
    body = {} if case.body is schemathesis.core.NOT_SET else {"json": case.body}
    response = client.request(case.method, case.formatted_path, **body)
    case.validate_response(response, checks=CHECKS)
    return response.json()
