"""Every bundled model through the Open Inference Protocol, with public clients."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http as triton
from fastapi import FastAPI
from numpy.typing import NDArray

from helpers.running import serving
from trigger_api.app import create_app
from trigger_api.model_card import read_card
from trigger_api.open_inference.tensors import DATATYPES
from trigger_api.registry import BUNDLED
from trigger_api.settings import Settings

pytestmark = pytest.mark.slow

NAMES = sorted(read_card(path.parent).name for path in BUNDLED.rglob("card.json"))
DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}
PYTHON = os.environ.get("KSERVE_PYTHON")
CHECK = Path(__file__).parent / "kserve" / "check.py"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings(max_batch=1, log_level="error", grpc_port=0))


@pytest.fixture(scope="module")
def address(app: FastAPI) -> Iterator[str]:
    with serving(app, patience_s=180) as address:
        yield address


@pytest.mark.parametrize("name", NAMES)
def test_the_triton_client_infers(address: str, name: str) -> None:
    client = triton.InferenceServerClient(address, network_timeout=60)
    metadata = client.get_model_metadata(name)
    plain, binary = (infer(client, metadata, binary=binary) for binary in (False, True))
    assert set(plain) == {output["name"] for output in metadata["outputs"]}
    for output, tensor in plain.items():
        np.testing.assert_allclose(tensor, binary[output], rtol=1e-5, atol=1e-6)
    client.close()


@pytest.mark.parametrize("name", NAMES)
async def test_grpc_answers_as_http_does(app: FastAPI, address: str, name: str) -> None:
    client = triton.InferenceServerClient(address, network_timeout=60)
    metadata = client.get_model_metadata(name)
    expected = infer(client, metadata, binary=True)
    client.close()
    inputs = []
    for tensor, shape in shapes(metadata):
        inputs.append(tritonclient.grpc.InferInput(tensor["name"], shape, tensor["datatype"]))
        inputs[-1].set_data_from_numpy(np.ones(shape, DTYPES[tensor["datatype"]]))
    grpc_address = f"127.0.0.1:{app.state.grpc_port}"
    with tritonclient.grpc.InferenceServerClient(grpc_address) as sync:
        answers = [sync.infer(name, inputs)]
    async with tritonclient.grpc.aio.InferenceServerClient(grpc_address) as aio:
        answers.append(await aio.infer(name, inputs))
    for answer in answers:
        found = {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}
        assert {key: array.tobytes() for key, array in found.items()} == {
            key: array.tobytes() for key, array in expected.items()
        }


def shapes(metadata: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """The inputs of a model, each with the shape of one item of the shortest length."""
    length = min(metadata["parameters"]["lengths"], default=1)
    for tensor in metadata["inputs"]:
        yield tensor, [1, *(length if size < 0 else size for size in tensor["shape"][1:])]


def infer(client: Any, metadata: dict[str, Any], *, binary: bool) -> dict[str, NDArray[Any]]:
    """The outputs for inputs of ones, which every model accepts, at the shortest length."""
    inputs = []
    for tensor, shape in shapes(metadata):
        made = triton.InferInput(tensor["name"], shape, tensor["datatype"])
        made.set_data_from_numpy(np.ones(shape, DTYPES[tensor["datatype"]]), binary_data=binary)
        inputs.append(made)
    names = [output["name"] for output in metadata["outputs"]]
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    answer = client.infer(metadata["name"], inputs, outputs=wanted)
    return {name: np.asarray(answer.as_numpy(name)) for name in names}


@pytest.mark.skipif(PYTHON is None, reason="KSERVE_PYTHON does not name a Python that has kserve")
def test_kserves_client_infers(address: str) -> None:
    assert PYTHON is not None
    command = [PYTHON, str(CHECK), f"http://{address}", *NAMES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == NAMES
