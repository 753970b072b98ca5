"""The bundled named-entity model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from trigger_api.evaluation.entities.texts import evaluate_texts
from trigger_api.model_card import WEIGHTS_FILE
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import BUNDLED, State
from trigger_api.routers.compat.columns import format_columns
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.entities.task import Entities

pytestmark = pytest.mark.slow

TEXT = """
Mr. Smith left the U.S. Army in May and moved to Paris, where he works for the French newspaper Le Monde.
Ada Lovelace wrote to the Royal Society in London about the engine that Charles Babbage had designed.
The World Cup final between Germany and Brazil was watched in Rio de Janeiro by eighty thousand people.
my sister works at ikea in malmö and plays handball for a club in lund
Reuters reported on Monday that Toyota and the Indonesian government had agreed on a plant near Jakarta.
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Settings(max_batch=1), Metrics())
    entry = made.registry.find("entities", "minilm")
    made.registry.load(entry)
    assert entry.state is State.READY
    yield made
    asyncio.run(made.close())


async def entities_in(service: Service, text: str) -> list[tuple[str, str]]:
    (sentences,) = (await service.task(Entities).predict([text])).texts
    entities = [entity for sentence in sentences for entity in sentence.entities]
    assert all(text[entity.start : entity.end] == entity.text for entity in entities)
    return [(entity.text, entity.type) for entity in entities]


async def test_the_original_sentence(service: Service) -> None:
    ((sentence,),) = (await service.task(Entities).predict(["I love Paris"])).texts
    columns = format_columns([(token.text, token.tag) for token in sentence.tokens])
    assert columns == ("I love Paris ", "O O    B-LOC ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Angela Merkel met Barack Obama in Berlin.",
            [("Angela Merkel", "PER"), ("Barack Obama", "PER"), ("Berlin", "LOC")],
        ),
        ("angela merkel lives in berlin", [("angela merkel", "PER"), ("berlin", "LOC")]),
        ("The U.S. economy grew.", [("U.S.", "LOC")]),
        ("She works for Microsoft\u2003in\tNew  York 😀.", [("Microsoft", "ORG"), ("New  York", "LOC")]),
        ("Anne-Marie Duff met Kim Jong-un.", [("Anne-Marie Duff", "PER"), ("Kim Jong-un", "PER")]),
        ("A London-based firm, well-known.", [("London", "LOC")]),
        ("US-China trade talks ended.", [("US", "LOC"), ("China", "LOC")]),
        ("omg @BarackObama just landed", [("@BarackObama", "PER")]),
        ("Nobody came.", []),
        ("", []),
    ],
)
async def test_names_are_found(service: Service, text: str, expected: list[tuple[str, str]]) -> None:
    assert await entities_in(service, text) == expected


async def test_a_long_text_is_tagged_to_its_end(service: Service) -> None:
    text = "Nothing happened that day, and nobody came. " * 60 + "Then Maria Lopez flew to Madrid."
    assert await entities_in(service, text) == [("Maria Lopez", "PER"), ("Madrid", "LOC")]


@pytest.mark.parametrize("half", ["development", "held_out"])
def test_hyphenated_names_and_handles_are_whole(half: str) -> None:
    file = Path(__file__).parent / "evaluation" / "entities" / f"hyphens_{half}.md"
    assert evaluate_texts(file, BUNDLED / "entities" / "minilm" / "1").overall.f1 > 92


def test_the_conversion_finds_what_keras_finds(service: Service) -> None:
    by_keras = Service(Settings(max_batch=1, runtime="tensorflow"), Metrics())
    by_keras.registry.load(by_keras.registry.find("entities", "minilm"))
    texts = [line for line in TEXT.splitlines() if line]

    async def tags(served: Service) -> list[list[str]]:
        found = (await served.task(Entities).predict(texts)).texts
        return [[token.tag for sentence in text for token in sentence.tokens] for text in found]

    assert asyncio.run(tags(service)) == asyncio.run(tags(by_keras))
    asyncio.run(by_keras.close())


def test_the_card_is_complete(service: Service) -> None:
    entry = service.registry.find("entities", "minilm")
    assert (entry.path / WEIGHTS_FILE).stat().st_size <= 25_000_000
    assert {"dev", "wikigold", "uner_ewt_test", "speed"} <= set(entry.card.figures)
    assert entry.card.sha256
