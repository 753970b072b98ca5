from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from helpers.running import serving
from trigger_api.app import create_app
from trigger_api.errors import BadRequest
from trigger_api.open_inference.outputs import classify
from trigger_api.registry import BUNDLED
from trigger_api.settings import Settings


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server with the bundled digits."""
    settings = Settings(models=(BUNDLED / "digits",), bundled=False, auth="open", log_level="error")
    with serving(create_app(settings), 60) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    client = triton.InferenceServerClient(address)
    yield client
    client.close()


def infer(client: Any, **output: Any) -> Any:
    described = client.get_model_metadata("mnist")["inputs"][0]
    images = np.zeros([3, *described["shape"][1:]], np.float32)
    tensor = triton.InferInput(described["name"], list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    return client.infer("mnist", [tensor], outputs=[triton.InferRequestedOutput("scores", **output)])


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("count", "found"), [(1, 1), (3, 3), (99, 11)])
def test_the_best_classes_have_their_labels(client: Any, binary: bool, count: int, found: int) -> None:
    scores = infer(client).as_numpy("scores")
    classes = infer(client, binary_data=binary, class_count=count).as_numpy("scores")
    assert classes.shape == (3, found)
    best = classes[0, 0]
    value, index, label = (best.decode() if isinstance(best, bytes) else best).split(":")
    assert int(index) == scores[0].argmax()
    assert float(value) == pytest.approx(scores[0].max(), abs=1e-6)
    assert label == ("none" if int(index) == 10 else index)


def test_classes_are_in_order_for_each_item_of_a_sequence() -> None:
    scores = np.array([[[0.1, 0.7, 0.2], [0.5, 0.0, 0.5]]], np.float32)
    assert classify("tags", scores, ["a", "b", "c"], 2).tolist() == [
        [["0.700000:1:b", "0.200000:2:c"], ["0.500000:0:a", "0.500000:2:c"]]
    ]


@pytest.mark.parametrize("labels", [(), ("activate",), ("a", "b")])
def test_what_has_no_score_for_each_label_is_not_classified(labels: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest, match="scores is not an output with a score for each label"):
        classify("scores", np.zeros((1, 1), np.float32), labels, 1)


@pytest.mark.parametrize("count", [-1, 1.5, True, "2"])
def test_a_number_of_classes_is_one(address: str, count: object) -> None:
    outputs = [{"name": "scores", "parameters": {"classification": count}}]
    answer = post(address, outputs=outputs)
    assert (answer.status_code, answer.json()["error"]) == (400, "scores: classification must be a number of classes")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"parameters": {"sequence_id": 7}}, "sequences are not supported"),
        ({"outputs": [{"name": "scores", "parameters": {"shared_memory_region": "r"}}]}, "shared memory"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "parameters": {"shared_memory_region": "r"}}]},
         "shared memory is not supported: send the data in the request"),
    ],
)  # fmt: skip
def test_absent_extensions_of_a_request_say_so(address: str, members: dict[str, Any], words: str) -> None:
    answer = post(address, **members)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def post(address: str, **members: Any) -> httpx.Response:
    with triton.InferenceServerClient(address) as client:
        described = client.get_model_metadata("mnist")["inputs"][0]
    shape = [1, *described["shape"][1:]]
    tensor = {"name": described["name"], "shape": shape, "datatype": "FP32", "data": np.zeros(shape).tolist()}
    body = json.dumps({"inputs": [tensor], **members})
    return httpx.post(f"http://{address}/v2/models/mnist/infer", content=body)


def test_absent_extensions_say_so(client: Any) -> None:
    for call, name in (
        (client.get_system_shared_memory_status, "system_shared_memory"),
        (client.unregister_cuda_shared_memory, "cuda_shared_memory"),
        (client.get_trace_settings, "trace"),
        (client.get_log_settings, "logging"),
        (client.get_inference_statistics, "statistics"),
        (lambda: client.get_inference_statistics("mnist"), "statistics"),
        (lambda: client.get_model_config("mnist"), "model_configuration"),
    ):
        with pytest.raises(InferenceServerException, match=f"the extension {name} is not supported"):
            call()
