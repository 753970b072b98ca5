from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from fastapi import FastAPI
from tritonclient.utils import InferenceServerException

from helpers.running import serving

MODEL = "beep-embedding"
MEL, STATE = np.zeros((3, 8, 32), np.float32), np.ones((3, 1), np.float32)
MEL[1, :, 28] = 9


class TestTritonClient:
    @pytest.fixture
    def client(self, app: FastAPI) -> Iterator[Any]:
        with serving(app) as address:
            client = triton.InferenceServerClient(address)
            yield client
            client.close()

    def inputs(self, *, binary: bool) -> list[Any]:
        made = []
        for name, array in (("mel", MEL), ("state", STATE)):
            tensor = triton.InferInput(name, list(array.shape), "FP32")
            tensor.set_data_from_numpy(array, binary_data=binary)
            made.append(tensor)
        return made

    def test_health_and_metadata(self, client: Any) -> None:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("beep")
        assert client.is_model_ready("beep", "1")
        assert not client.is_model_ready("nix")
        assert client.get_server_metadata()["extensions"] == [
            "binary_tensor_data",
            "classification",
            "model_repository",
        ]
        metadata = client.get_model_metadata(MODEL)
        assert metadata["inputs"][0] == {"name": "mel", "datatype": "FP32", "shape": [-1, -1, 32]}
        assert metadata["outputs"][1] == {"name": "state", "datatype": "FP32", "shape": [-1, 1]}
        assert metadata["versions"] == ["1"]

    @pytest.mark.parametrize("binary_in", [False, True])
    @pytest.mark.parametrize("binary_out", [False, True])
    def test_infer(self, client: Any, binary_in: bool, binary_out: bool) -> None:
        wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("embeddings", "state")]
        answer = client.infer(MODEL, self.inputs(binary=binary_in), outputs=wanted, request_id="7")
        assert answer.as_numpy("embeddings").tolist() == [[[0, 1]], [[1, 1]], [[0, 1]]]
        assert answer.as_numpy("state").tolist() == [[0], [1], [0]]
        assert answer.get_response()["id"] == "7"

    def test_infer_a_version_without_naming_outputs(self, client: Any) -> None:
        answer = client.infer(MODEL, self.inputs(binary=True), model_version="1")
        assert answer.as_numpy("embeddings").shape == (3, 1, 2)

    def test_a_heads_scores(self, client: Any) -> None:
        embeddings = triton.InferInput("embeddings", [1, 10, 2], "FP32")
        embeddings.set_data_from_numpy(np.eye(10, 2, dtype=np.float32)[None, ::-1])
        assert client.infer("beep", [embeddings]).as_numpy("scores").tolist() == [[0] * 6 + [1, 1]]

    def test_errors_reach_the_client(self, client: Any) -> None:
        with pytest.raises(InferenceServerException, match="no such model"):
            client.infer("nix", self.inputs(binary=True))

    def test_repository(self, client: Any) -> None:
        states = [{"name": name, "version": "1", "state": "READY", "reason": ""} for name in (MODEL, "beep")]
        assert client.get_model_repository_index() == states
        client.unload_model("beep")
        assert not client.is_model_ready("beep")
        assert client.get_model_repository_index()[1]["state"] == "UNAVAILABLE"
        client.load_model("beep")
        assert client.is_model_ready("beep")


async def test_the_index_can_be_limited_to_ready_models(client: httpx.AsyncClient) -> None:
    await client.post("/v2/repository/models/beep/unload")
    ready = (await client.post("/v2/repository/index", json={"ready": True})).json()
    assert [model["name"] for model in ready] == [MODEL]
    assert len((await client.post("/v2/repository/index")).json()) == 2


def infer_body(**changes: Any) -> dict[str, Any]:
    arrays = {"mel": MEL, "state": STATE, **changes}
    tensors = [
        {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": array.ravel().tolist()}
        for name, array in arrays.items()
        if array is not None
    ]
    return {"inputs": tensors}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mel": np.zeros((3, 9, 32))}, "takes sequences of length 8, 64"),
        ({"mel": np.zeros((3, 8, 33))}, "'mel' must be float32 of shape [-1, -1, 32]"),
        ({"mel": np.zeros((3, 8))}, "'mel' must be float32"),
        ({"state": np.zeros((2, 1))}, "all with the same batch size"),
        ({"state": None}, "'state' is missing"),
        ({"extra": np.zeros((3, 1))}, "beep-embedding takes mel, state"),
        ({"mel": np.zeros((0, 8, 32)), "state": np.zeros((0, 1))}, "the batch is empty"),
    ],
)
async def test_tensors_that_do_not_match_the_model_are_rejected(
    client: httpx.AsyncClient, changes: dict[str, Any], text: str
) -> None:
    response = await client.post(f"/v2/models/{MODEL}/infer", json=infer_body(**changes))
    assert response.status_code == 400
    assert text in response.json()["error"]


async def test_integers_for_floats_are_rejected(client: httpx.AsyncClient) -> None:
    sent = infer_body()
    sent["inputs"][0]["datatype"] = "INT32"
    response = await client.post(f"/v2/models/{MODEL}/infer", content=json.dumps(sent))
    assert response.status_code == 400


@pytest.mark.parametrize("length", ["-1", "many", "1_000", "²", "9" * 30])
async def test_a_length_that_is_not_a_number_is_rejected(client: httpx.AsyncClient, length: str) -> None:
    headers = [(b"Inference-Header-Content-Length", length.encode())]
    response = await client.post(f"/v2/models/{MODEL}/infer", content=b"{}", headers=headers)
    assert response.status_code == 400
    assert "must be a number of bytes" in response.json()["error"]
