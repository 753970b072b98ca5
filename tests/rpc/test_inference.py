from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.http
from fastapi import FastAPI
from tritonclient.grpc import service_pb2 as messages
from tritonclient.utils import InferenceServerException

from helpers.beep import BeepModel
from helpers.beep_tensors import EMBEDDINGS, INPUTS, MODEL, message, triton_inputs
from helpers.running import serving
from helpers.until import until
from trigger_api.app import create_app
from trigger_api.registry import BUNDLED
from trigger_api.rpc.inference import METHODS, SERVICE
from trigger_api.settings import Settings


async def test_health_and_metadata(client: Any) -> None:
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert await client.is_model_ready("beep")
    assert await client.is_model_ready("beep", "1")
    assert not await client.is_model_ready("nix")
    assert (await client.get_server_metadata()).extensions == [
        "binary_tensor_data",
        "classification",
        "model_repository",
    ]
    metadata = await client.get_model_metadata(MODEL, as_json=True)
    assert metadata["inputs"][0] == {"name": "mel", "datatype": "FP32", "shape": ["-1", "-1", "32"]}
    assert metadata["outputs"][1] == {"name": "state", "datatype": "FP32", "shape": ["-1", "1"]}
    assert (metadata["versions"], metadata["platform"]) == (["1"], "keras")


async def test_a_server_that_loads_is_not_ready(app: FastAPI, client: Any) -> None:
    app.state.service.registry.close()
    assert not await client.is_server_ready()


async def test_infer(client: Any) -> None:
    answer = await client.infer(MODEL, triton_inputs(), request_id="7")
    assert answer.as_numpy("embeddings").tolist() == EMBEDDINGS
    assert answer.as_numpy("state").tolist() == [[0], [1], [0]]
    response = answer.get_response()
    assert (response.id, response.model_name, response.model_version) == ("7", MODEL, "1")


async def test_outputs_come_as_they_are_named(client: Any) -> None:
    wanted = [triton.InferRequestedOutput(name) for name in ("state", "embeddings")]
    answer = await client.infer(MODEL, triton_inputs(), model_version="1", outputs=wanted)
    assert [output.name for output in answer.get_response().outputs] == ["state", "embeddings"]
    answer = await client.infer(MODEL, triton_inputs(), outputs=wanted[:1])
    assert [output.name for output in answer.get_response().outputs] == ["state"]


async def test_typed_contents_are_answered_with_typed_contents(stub: Any) -> None:
    answer = await stub.ModelInfer(message())
    assert not answer.raw_output_contents
    found = {output.name: np.reshape(output.contents.fp32_contents, output.shape) for output in answer.outputs}
    assert found["embeddings"].tolist() == EMBEDDINGS


async def test_repository(client: Any) -> None:
    states = [(name, "1", "READY", "") for name in (MODEL, "beep")]
    index = (await client.get_model_repository_index()).models
    assert [(row.name, row.version, row.state, row.reason) for row in index] == states
    await client.unload_model("beep")
    assert not await client.is_model_ready("beep")
    assert (await client.get_model_repository_index()).models[1].state == "UNAVAILABLE"
    await client.load_model("beep")
    assert await client.is_model_ready("beep")


async def test_the_index_can_be_limited_to_ready_models(client: Any, stub: Any) -> None:
    await client.unload_model("beep")
    ready = await stub.RepositoryIndex(messages.RepositoryIndexRequest(ready=True))
    assert [row.name for row in ready.models] == [MODEL]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model_name": "nix"}, "no such model"),
        ({"model_version": "2"}, "no such model"),
        ({"inputs": []}, "1 to 32 inputs"),
        ({"outputs": [{"name": "nix"}]}, "the model has no output 'nix'"),
        ({"parameters": {"sequence_id": {"int64_param": 7}}}, "sequences are not supported"),
        ({"raw_input_contents": [b""]}, "raw_input_contents must hold the data of every input"),
        ({"id": "x" * 300}, "at most 256 characters"),
        ({"parameters": {"save": {"int64_param": 7}}}, "save must be true or false"),
        ({"parameters": {"save": {"bool_param": True}}}, "this server has no database"),
        ({"outputs": [{"name": "state", "parameters": {"classification": {"int64_param": 1}}}]}, "is not possible"),
        ({"outputs": [{"name": "state", "parameters": {"shared_memory_region": {"string_param": "r"}}}]}, "shared"),
    ],
)
async def test_what_is_wrong_is_said(stub: Any, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ModelInfer(message(**changes))
    expected = grpc.StatusCode.NOT_FOUND if "such model" in text else grpc.StatusCode.INVALID_ARGUMENT
    assert (caught.value.code(), text in str(caught.value.details())) == (expected, True), caught.value.details()


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"mel": np.zeros((3, 9, 32), np.float32)}, "takes sequences of length 8, 64"),
        ({"mel": np.zeros((3, 8), np.float32)}, "'mel' must be float32"),
        ({"state": np.zeros((2, 1), np.float32)}, "all with the same batch size"),
        ({"extra": np.zeros((3, 1), np.float32)}, "beep-embedding takes mel, state"),
    ],
)
async def test_tensors_that_do_not_match_the_model_are_rejected(client: Any, tensors: Any, text: str) -> None:
    with pytest.raises(InferenceServerException, match=text.replace("[", r"\[")) as caught:
        await client.infer(MODEL, triton_inputs({**INPUTS, **tensors}))
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


async def test_absent_extensions_say_so(client: Any) -> None:
    for call, name in (
        (client.get_system_shared_memory_status, "system_shared_memory"),
        (client.unregister_cuda_shared_memory, "cuda_shared_memory"),
        (client.get_trace_settings, "trace"),
        (client.get_log_settings, "logging"),
        (client.get_inference_statistics, "statistics"),
        (lambda: client.get_model_config("beep"), "model_configuration"),
    ):
        with pytest.raises(InferenceServerException, match=f"the extension {name} is not supported") as caught:
            await call()
        assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


def test_every_method_of_the_protocol_is_answered_but_the_stream() -> None:
    service = messages.DESCRIPTOR.services_by_name[SERVICE.rpartition(".")[2]]
    assert {method.name for method in service.methods} - METHODS.keys() == {"ModelStreamInfer"}


async def test_a_cancelled_call_leaves_the_queue(app: FastAPI, network: BeepModel, stub: Any) -> None:
    await _stopped(app, network, stub, within=None)


async def test_a_call_past_its_deadline_leaves_the_queue(app: FastAPI, network: BeepModel, stub: Any) -> None:
    await _stopped(app, network, stub, within=0.3)


async def _stopped(app: FastAPI, network: BeepModel, stub: Any, *, within: float | None) -> None:
    """Two calls wait for a model that is busy; nobody waits for the second any longer."""
    registry, metrics = app.state.service.registry, app.state.service.metrics
    queue = registry.find(None, MODEL).model.queues[8]
    network.gate.clear()
    running = stub.ModelInfer(message())
    try:
        await until(lambda: queue.running)
        waiting = stub.ModelInfer(message(), timeout=within)
        await until(lambda: len(queue.waiting) == 3)
        if within is None:
            waiting.cancel()
        await until(lambda: not queue.waiting)
        with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
            await waiting
    finally:
        network.gate.set()
    assert len((await running).outputs) == 2
    dropped = metrics.registry.get_sample_value(
        "trigger_api_dropped_total", {"model": queue.name, "reason": "cancelled"}
    )
    assert dropped == 3


async def test_a_full_queue_says_when_to_come_back(app: FastAPI, network: BeepModel, stub: Any) -> None:
    queue = app.state.service.registry.find(None, MODEL).model.queues[8]
    queue.limits = queue.limits.model_copy(update={"queue": 0})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ModelInfer(message())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert {"retry-after", "grpc-retry-pushback-ms"} <= {key for key, _ in caught.value.trailing_metadata()}


@pytest.fixture(scope="module")
def digits() -> Iterator[tuple[str, str]]:
    """The addresses of a server with the bundled digits."""
    settings = Settings(
        models=(BUNDLED / "digits",), bundled=False, auth="open", log_level="error", database_url="none", grpc_port=0
    )
    app = create_app(settings)
    with serving(app, 60) as address:
        yield address, f"127.0.0.1:{app.state.grpc_port}"


def test_classes_and_scores_are_those_of_http(digits: tuple[str, str]) -> None:
    pictures = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    for class_count in (0, 3):
        found = []
        for module, address in zip((tritonclient.http, triton), digits, strict=True):
            tensor = module.InferInput("digits", list(pictures.shape), "FP32")
            tensor.set_data_from_numpy(pictures)
            wanted = [module.InferRequestedOutput("scores", class_count=class_count)]
            with module.InferenceServerClient(address) as client:
                found.append(client.infer("mnist", [tensor], outputs=wanted).as_numpy("scores"))
        assert found[0].tobytes() == found[1].tobytes() if not class_count else found[0].tolist() == found[1].tolist()


def test_what_was_asked_over_both_is_counted_alike(digits: tuple[str, str]) -> None:
    with triton.InferenceServerClient(digits[1]) as client:
        assert client.is_server_live()
    text = httpx.get(f"http://{digits[0]}/metrics").text
    route = f"/{SERVICE}/ServerLive"
    assert f'trigger_api_requests_total{{method="gRPC",route="{route}",status="200"}}' in text
    assert f'trigger_api_request_seconds_count{{route="{route}"}}' in text
