import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from helpers.threads import note_threads
from helpers.tiny_ner import VOCABULARY, PlaceModel, add_tiny_ner
from trigger_api.errors import TooLarge, UnknownModel
from trigger_api.inference import Engine
from trigger_api.model_card import ModelCard
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Loader, Registry, State
from trigger_api.repository import discover
from trigger_api.tasks import Context
from trigger_api.tasks.entities import task as task
from trigger_api.tasks.entities.tagger import VOCABULARY_FILE
from trigger_api.tasks.entities.task import Entities, EntitiesResult

OTHER_VOCABULARY = (*VOCABULARY[:-5], *VOCABULARY[-4:], VOCABULARY[-5])  # special pieces keep their rows


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine(inference_threads=1, preprocess_threads=2, preprocess_queue=32)
    yield made
    await made.close(5)


@pytest.fixture
def entities(tmp_path: Path, engine: Engine) -> Entities:
    add_tiny_ner(tmp_path / "tiny")
    return serve(engine, registry_of(tmp_path, engine, lambda path, card: PlaceModel()))


def registry_of(root: Path, engine: Engine, load: Loader) -> Registry:
    made = Registry(discover(root), load, engine.scheduler, Metrics(), assets={Entities.name: Entities.load_assets})
    made.load_all()
    return made


def serve(engine: Engine, registry: Registry) -> Entities:
    return Entities(Context(engine, registry, max_text_characters=2_000))


def entities_in(result: EntitiesResult) -> list[list[str]]:
    return [[entity.text for sentence in text for entity in sentence.entities] for text in result.texts]


async def test_every_text_is_tagged_independently(entities: Entities) -> None:
    result = await entities.predict(["I love Paris. I love Rome.", "", "Rome"])
    assert entities_in(result) == [["Paris", "Rome"], [], ["Rome"]]
    assert (result.model, result.version) == ("tiny", "3")


async def test_items_of_different_lengths_are_answered_in_order(entities: Entities) -> None:
    texts = ["Paris", "love " * 40 + "Rome", "Rome", "love " * 90 + "Paris"]
    assert entities_in(await entities.predict(texts)) == [["Paris"], ["Rome"], ["Rome"], ["Paris"]]


async def test_concurrent_requests_get_their_own_answers(entities: Entities) -> None:
    results = await asyncio.gather(*(entities.predict([f"I love {place}"]) for place in ["Paris", "Rome"] * 8))
    assert [entities_in(result) for result in results] == [[["Paris"]], [["Rome"]]] * 8


async def test_texts_too_long_together_are_rejected(entities: Entities) -> None:
    with pytest.raises(TooLarge, match="2000 characters"):
        await entities.predict(["x" * 1_500, "x" * 501])


async def test_an_unknown_model_is_rejected(entities: Entities) -> None:
    with pytest.raises(UnknownModel, match="tiny"):
        await entities.predict(["Paris"], model="huge")


async def test_an_old_version_keeps_its_vocabulary_while_a_new_one_is_loaded(tmp_path: Path, engine: Engine) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    add_tiny_ner(old)
    add_tiny_ner(new, OTHER_VOCABULARY)
    entered, go_on = threading.Event(), threading.Event()

    def load(path: Path, card: ModelCard) -> PlaceModel:
        if path == old:
            return PlaceModel()
        entered.set()
        assert go_on.wait(10)
        return PlaceModel(OTHER_VOCABULARY)

    registry = registry_of(old, engine, load)
    entities = serve(engine, registry)
    swap = asyncio.create_task(asyncio.to_thread(registry.sync, discover(new)))
    try:
        assert await asyncio.to_thread(entered.wait, 10)
        assert entities_in(await entities.predict(["I love Paris"])) == [["Paris"]]
        with registry.acquire(Entities.name, "tiny", "3") as pinned:
            before = pinned.assets
            go_on.set()
            await swap
            assert pinned.assets is before
    finally:
        go_on.set()
    assert entities_in(await entities.predict(["I love Paris"])) == [["Paris"]]
    with registry.acquire(Entities.name, "tiny", "3") as fresh:
        assert fresh.assets is not before


async def test_a_version_without_its_vocabulary_does_not_serve(tmp_path: Path, engine: Engine) -> None:
    add_tiny_ner(tmp_path / "tiny")
    (tmp_path / "tiny" / VOCABULARY_FILE).unlink()
    registry = registry_of(tmp_path, engine, lambda path, card: PlaceModel())
    (entry,) = registry.versions
    assert entry.state is State.FAILED
    assert str(tmp_path) not in entry.reason


async def test_outputs_are_postprocessed_in_the_pool(entities: Entities, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = note_threads(monkeypatch, task, "_postprocess")
    await entities.predict(["I love Paris"])
    assert threads == ["preprocess"]
