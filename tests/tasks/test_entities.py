import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from places import PlaceNetwork, add_places
from trigger_api.errors import TooLarge, UnknownModel
from trigger_api.inference import Engine
from trigger_api.metrics import Metrics
from trigger_api.registry import Registry
from trigger_api.repository import discover
from trigger_api.tasks.entities import Entities, Reading


@pytest.fixture
async def entities(tmp_path: Path) -> AsyncIterator[Entities]:
    add_places(tmp_path / "tiny")
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
