"""Inputs of the beep's backbone over the Open Inference Protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, service_pb2

MODEL = "beep-embedding"
MEL, STATE = np.zeros((3, 8, 32), np.float32), np.ones((3, 1), np.float32)
MEL[1, :, 28] = 9
INPUTS: dict[str, NDArray[Any]] = {"mel": MEL, "state": STATE}
EMBEDDINGS = [[[0, 1]], [[1, 1]], [[0, 1]]]


def triton_inputs(arrays: dict[str, NDArray[Any]] = INPUTS) -> list[Any]:
    """For Triton's gRPC client."""
    made = []
    for name, array in arrays.items():
        tensor = InferInput(name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array)
        made.append(tensor)
    return made


def message(**changes: Any) -> Any:
    """A request with typed contents."""
    tensors = [
        {"name": name, "datatype": "FP32", "shape": array.shape, "contents": {"fp32_contents": array.ravel().tolist()}}
        for name, array in INPUTS.items()
    ]
    return service_pb2.ModelInferRequest(**{"model_name": MODEL, "inputs": tensors, **changes})
