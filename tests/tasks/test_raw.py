from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.beep import add_model, plain_card
from trigger_api.errors import BadRequest
from trigger_api.inference import Engine
from trigger_api.model_card import TensorSpec
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Registry
from trigger_api.repository import discover
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.tasks import Context
from trigger_api.tasks.raw import Raw

TABLE = np.array([[10.0], [11.0], [12.0]], np.float32)


class Lookup:
    """A table whose entries are asked for by number."""

    def compile(self, specs: Any, size: int) -> CompiledFunction:
        return self.look

    @staticmethod
    def look(inputs: Tensors) -> Tensors:
        return {"values": TABLE[inputs["places"]][..., 0]}


@pytest.fixture
async def raw(tmp_path: Path) -> AsyncIterator[Raw]:
    spec = TensorSpec(name="places", shape=(2,), dtype="int32", vocab_size=len(TABLE))
    add_model(tmp_path, plain_card("table", inputs=(spec,), sequence_lengths=()))
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=4)
    registry = Registry(discover(tmp_path), lambda path, card: Lookup(), engine.scheduler, Metrics())
    registry.load_all()
    yield Raw(Context(engine, registry))
    await engine.close(5)


async def test_a_batch_is_computed(raw: Raw) -> None:
    computed = await raw.predict({"places": np.array([[0, 2], [1, 1]], np.int32)}, model="table")
    assert computed.outputs["values"].tolist() == [[10, 12], [11, 11]]
    assert (computed.model, computed.version) == ("table", "1")


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"places": np.array([[0, 3]], np.int32)}, "takes values from 0 to 2"),
        ({"places": np.array([[0, -1]], np.int32)}, "takes values from 0 to 2"),
        ({"places": np.zeros((0, 2), np.int32)}, "the batch is empty"),
        ({"places": np.zeros((1, 3), np.int32)}, "wants int32 of shape"),
        ({"places": np.zeros((1, 2), np.float32)}, "wants int32 of shape"),
        ({}, "is missing"),
        ({"places": np.zeros((1, 2), np.int32), "more": np.zeros((1, 2), np.int32)}, "takes places"),
    ],
)
async def test_what_is_not_the_models_is_refused(raw: Raw, inputs: Mapping[str, NDArray[Any]], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        await raw.predict(inputs, model="table")
