"""KServe's own client against a running service: every model, as JSON and as bytes. Run where `kserve` is installed.

python check.py http://127.0.0.1:8000 MODEL...
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
import numpy as np
from kserve.protocol.infer_type import RequestedOutput
from numpy.typing import NDArray

from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

DTYPES = {"FP32": "float32", "INT32": "int32", "UINT8": "uint8"}


async def main(url: str, models: list[str]) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0, timeout=60))
    assert await client.is_server_live(url)
    assert await client.is_server_ready(url)
    for model in models:
        assert await client.is_model_ready(url, model)
        described = await _described(f"{url}/v2/models/{model}")
        plain, binary = [await infer(client, url, described, binary=binary) for binary in (False, True)]
        for name, tensor in plain.items():
            np.testing.assert_allclose(tensor, binary[name], rtol=1e-5, atol=1e-6)
        sys.stdout.write(f"{model} { {name: tensor.shape for name, tensor in plain.items()} }\n")


async def _described(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as http:
        metadata: dict[str, Any] = (await http.get(url)).json()
        return metadata


async def infer(
    client: InferenceRESTClient, url: str, described: dict[str, Any], *, binary: bool
) -> dict[str, NDArray[Any]]:
    """Outputs for inputs of ones, which every model takes."""
    name, length = described["name"], min(described["parameters"]["lengths"], default=1)
    inputs = []
    for tensor in described["inputs"]:
        shape = [1, *(length if size < 0 else size for size in tensor["shape"][1:])]
        made = InferInput(tensor["name"], shape, tensor["datatype"])
        made.set_data_from_numpy(np.ones(shape, DTYPES[tensor["datatype"]]), binary_data=binary)
        inputs.append(made)
    outputs = [RequestedOutput(output["name"], {"binary_data": binary}) for output in described["outputs"]]
    answer = await client.infer(url, InferRequest(name, inputs, request_outputs=outputs), model_name=name)
    assert answer.model_name == name
    return {output.name: output.as_numpy() for output in answer.outputs}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
