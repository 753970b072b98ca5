from __future__ import annotations

import numpy as np
import pytest

from trigger_api.model_card import Limits, TensorSpec
from trigger_api.observability.metrics import Metrics
from trigger_api.scheduler import BatchQueue, Tensors
from trigger_api.streaming.stream_batch import PrebatchedQueue

SPECS = [TensorSpec(name="x", shape=(3,)), TensorSpec(name="state", shape=(1,))]


def block(rows: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return {"x": np.arange(3 * rows, dtype=np.float32).reshape(rows, 3), "state": np.ones((rows, 1), np.float32)}


def queue() -> PrebatchedQueue:
    def runner(size: int) -> object:
        def run(tensors: Tensors) -> Tensors:
            assert len(tensors["x"]) == size
            return {"y": tensors["x"].sum(axis=1), "state": tensors["state"] + 1}

        return run

    functions = {size: runner(size) for size in (1, 4)}
    return PrebatchedQueue(BatchQueue("model", SPECS, functions, Limits(), Metrics()), Metrics())  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_block_is_padded_up_and_cut_back(rows: int) -> None:
    (answer,) = queue().compute([block(rows)])
    np.testing.assert_array_equal(answer["y"], block(rows)["x"].sum(axis=1))
    assert answer["state"].shape == (rows, 1)


@pytest.mark.parametrize(
    "item", [{}, block(5), block(0), {"x": block(1)["x"]}, {**block(2), "state": np.ones((2, 2), np.float32)}]
)
def test_an_invalid_block_is_rejected(item: Tensors) -> None:
    with pytest.raises(ValueError, match="up to 4"):
        queue().check(item)
    queue().check(block(4))
