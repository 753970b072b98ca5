from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.beep import BeepModel, add_model, plain_card, trigger_card
from helpers.threads import note_threads
from trigger_api.errors import BadRequest
from trigger_api.inference import Engine
from trigger_api.model_card import TensorSpec
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Registry
from trigger_api.repository import discover
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.tasks import Context
from trigger_api.tasks import raw as module
from trigger_api.tasks.raw import Raw

TABLE = np.array([[10.0], [11.0], [12.0]], np.float32)


class Lookup:
    """A model that looks numbers up in a table."""

    def compile(self, specs: Any, size: int) -> CompiledFunction:
        return self.run

    @staticmethod
    def run(inputs: Tensors) -> Tensors:
        return {"values": TABLE[inputs["numbers"]][..., 0]}


@pytest.fixture
async def raw(tmp_path: Path) -> AsyncIterator[Raw]:
    spec = TensorSpec(name="numbers", shape=(2,), dtype="int32", vocab_size=len(TABLE))
    add_model(tmp_path, plain_card("table", inputs=(spec,), sequence_lengths=()))
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=4)
    registry = Registry(discover(tmp_path), lambda path, card: Lookup(), engine.scheduler, Metrics())
    registry.load_all()
    yield Raw(Context(engine, registry))
    await engine.close(5)


async def test_a_batch_is_computed(raw: Raw) -> None:
    result = await raw.predict({"numbers": np.array([[0, 2], [1, 1]], np.int32)}, model="table")
    assert result.outputs["values"].tolist() == [[10, 12], [11, 11]]
    assert (result.model, result.version) == ("table", "1")


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"numbers": np.array([[0, 3]], np.int32)}, "takes values from 0 to 2"),
        ({"numbers": np.array([[0, -1]], np.int32)}, "takes values from 0 to 2"),
        ({"numbers": np.zeros((0, 2), np.int32)}, "the batch is empty"),
        ({"numbers": np.zeros((1, 3), np.int32)}, "must be int32 of shape"),
        ({"numbers": np.zeros((1, 2), np.float32)}, "must be int32 of shape"),
        ({}, "is missing"),
        ({"numbers": np.zeros((1, 2), np.int32), "more": np.zeros((1, 2), np.int32)}, "takes numbers"),
    ],
)
async def test_tensors_that_do_not_match_are_rejected(raw: Raw, inputs: Mapping[str, NDArray[Any]], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        await raw.predict(inputs, model="table")


@pytest.mark.parametrize(("rows", "thread"), [(2, "MainThread"), (10_000, "preprocess")])
async def test_large_tensors_are_checked_and_stacked_off_the_event_loop(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, rows: int, thread: str
) -> None:
    threads = [note_threads(monkeypatch, module, name) for name in ("_split", "_stack")]
    result = await raw.predict({"numbers": np.ones((rows, 2), np.int32)}, model="table")
    assert result.outputs["values"].shape == (rows, 2)
    assert threads == [[thread], [thread]]


@pytest.fixture
async def beep(tmp_path: Path) -> AsyncIterator[Raw]:
    add_model(tmp_path, trigger_card())  # and its backbone
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=4)
    registry = Registry(discover(tmp_path), lambda path, card: BeepModel(), engine.scheduler, Metrics())
    registry.load_all()
    yield Raw(Context(engine, registry))
    await engine.close(5)


@pytest.mark.parametrize("length", [3, 4, 7, 9, 10])
async def test_a_sequence_of_any_length_is_padded_and_cut_again(beep: Raw, length: int) -> None:
    embeddings = np.random.default_rng(0).uniform(0, 1, (2, length, 2)).astype(np.float32)
    scores = (await beep.predict({"embeddings": embeddings}, model="beep")).outputs["scores"]
    windows = [embeddings[:, start : start + 3] for start in range(length - 2)]
    each = [(await beep.predict({"embeddings": window}, model="beep")).outputs["scores"] for window in windows]
    np.testing.assert_array_equal(scores, np.concatenate(each, axis=1))


async def test_a_sequence_that_is_too_long_or_has_a_state_is_rejected(beep: Raw) -> None:
    with pytest.raises(BadRequest, match="beep takes sequences of length 3, 10"):
        await beep.predict({"embeddings": np.zeros((1, 11, 2), np.float32)}, model="beep")
    mel, state = np.zeros((1, 16, 32), np.float32), np.zeros((1, 1), np.float32)
    with pytest.raises(BadRequest, match="takes sequences of length 8, 64"):
        await beep.predict({"mel": mel, "state": state}, model="beep-embedding")
