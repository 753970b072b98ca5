import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from trigger_api.cards import Limits, ModelCard, TensorSpec, write_card
from trigger_api.errors import TooLarge, UnknownModel
from trigger_api.inference import Engine, Runner, Tensors
from trigger_api.metrics import Metrics
from trigger_api.registry import Registry
from trigger_api.repository import discover
from trigger_api.tasks.bio import LABELS
from trigger_api.tasks.entities import Entities, Reading
from trigger_api.tasks.gazetteers import FEATURES, write_gazetteers
from trigger_api.tasks.tagging import GAZETTEERS_FILE, VOCABULARY_FILE
from trigger_api.tasks.wordpiece import SPECIALS

VOCABULARY = (*SPECIALS, "i", "love", "paris", "rome", ".")
CARD = ModelCard(
    task="entities",
    name="tiny",
    version="3",
    labels=LABELS,
    inputs=(
        TensorSpec(name="pieces", shape=(-1,), dtype="int32"),
        TensorSpec(name="shapes", shape=(-1,), dtype="int32"),
        TensorSpec(name="gazetteers", shape=(-1, FEATURES)),
    ),
    outputs=(TensorSpec(name="scores", shape=(-1, len(LABELS))),),
    lengths=(16, 64),
    limits=Limits(batch_sizes=(1, 2)),
)


class PlaceNetwork:
    """Takes Paris and Rome for places."""

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> Runner:
        def run(tensors: Tensors) -> Tensors:
            assert {name: tensor.shape for name, tensor in tensors.items()} == {
                spec.name: (batch, *spec.shape) for spec in specs
            }
            place = np.isin(tensors["pieces"], [VOCABULARY.index("paris"), VOCABULARY.index("rome")])
            return {"scores": np.eye(len(LABELS), dtype=np.float32)[place * LABELS.index("B-LOC")] * 9}

        return run


@pytest.fixture
async def entities(tmp_path: Path) -> AsyncIterator[Entities]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    write_card(folder, CARD)
    (folder / VOCABULARY_FILE).write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    write_gazetteers(folder / GAZETTEERS_FILE, {"paris": "c"})
    engine = Engine(inference_threads=1, preprocess_threads=2, preprocess_queue=32)
    registry = Registry(discover(tmp_path), lambda path, card: PlaceNetwork(), engine.scheduler, Metrics())
    registry.load_all()
    yield Entities(engine, registry, most_characters=2_000)
    registry.close()
    await engine.close(5)


def found(reading: Reading) -> list[list[str]]:
    return [[entity.text for sentence in text for entity in sentence.entities] for text in reading.texts]


async def test_every_text_is_read_by_itself(entities: Entities) -> None:
    reading = await entities.find(["I love Paris. I love Rome.", "", "Rome"])
    assert found(reading) == [["Paris", "Rome"], [], ["Rome"]]
    assert (reading.model, reading.version) == ("tiny", "3")


async def test_items_of_different_lengths_are_answered_in_order(entities: Entities) -> None:
    texts = ["Paris", "love " * 40 + "Rome", "Rome", "love " * 90 + "Paris"]
    assert found(await entities.find(texts)) == [["Paris"], ["Rome"], ["Rome"], ["Paris"]]


async def test_many_callers_are_answered_at_once(entities: Entities) -> None:
    readings = await asyncio.gather(*(entities.find([f"I love {place}"]) for place in ["Paris", "Rome"] * 8))
    assert [found(reading) for reading in readings] == [[["Paris"]], [["Rome"]]] * 8


async def test_texts_too_long_together_are_refused(entities: Entities) -> None:
    with pytest.raises(TooLarge, match="2000 characters"):
        await entities.find(["x" * 1_500, "x" * 501])


async def test_an_unknown_model_is_refused(entities: Entities) -> None:
    with pytest.raises(UnknownModel, match="tiny"):
        await entities.find(["Paris"], model="huge")
