"""Named entities: which people, organisations, places and other things a text names, and where."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trigger_api.errors import TooLarge
from trigger_api.inference import Engine
from trigger_api.model_card import ModelCard
from trigger_api.registry import Model, Registry
from trigger_api.scheduler import Tensors
from trigger_api.tasks.entities.tagger import Prepared, Sentence, Tagger

TASK = "entities"


@dataclass(frozen=True)
class Reading:
    """What was found in each text of one request, sentence by sentence."""

    texts: tuple[tuple[Sentence, ...], ...]
    model: str
    version: str


class Entities:
    """The task: the same object serves every way in.

    Args:
        most_characters: code points in the texts of one request.
    """

    def __init__(self, engine: Engine, registry: Registry, most_characters: int = 20_000) -> None:
        self._engine = engine
        self._registry = registry
        self._most_characters = most_characters

    async def find(self, texts: Sequence[str], *, model: str | None = None) -> Reading:
        """Read texts, any Unicode, blank ones too.

        Args:
            texts: each is read by itself.
            model: a model's name; the default one if not given.

        Raises:
            ServiceError: the texts are too long together, or the engine cannot answer in time.
        """
        if sum(map(len, texts)) > self._most_characters:
            raise TooLarge(f"the text is longer than {self._most_characters} characters")
        with self._registry.acquire(TASK, model) as served:
            tagger: Tagger = served.assets
            limits = next(iter(served.queues.values())).limits
            async with self._engine.deadline(limits.deadline_s) as deadline:
                prepared = await self._engine.preprocess(_prepare, tagger, texts)
                answers = await self._infer([item for each in prepared for item in each.items], served, deadline)
                read = await self._engine.preprocess(_read, tagger, prepared, answers)
            return Reading(read, served.card.name, served.card.version)

    async def _infer(self, items: Sequence[Tensors], served: Model, deadline: float) -> list[Tensors]:
        """Answer the items in their order, those of one length in one lane."""
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, item in enumerate(items):
            places[len(item["pieces"])].append(place)
        queues = [
            self._engine.infer(served.queues[length], [items[place] for place in members], deadline)
            for length, members in places.items()
        ]
        answers: dict[int, Tensors] = {}
        for members, found in zip(places.values(), await asyncio.gather(*queues), strict=True):
            answers.update(zip(members, found, strict=True))
        return [answers[place] for place in range(len(items))]


def load_assets(folder: Path, card: ModelCard) -> Tagger:
    """Read the vocabulary and the gazetteers of one version: the registry keeps them with its weights.

    Raises:
        OSError: one of them cannot be read.
        ValueError: the longest of the card's lengths is too short for windows that overlap.
    """
    return Tagger.load(folder, card.labels, card.lengths)


def _prepare(tagger: Tagger, texts: Sequence[str]) -> list[Prepared]:
    return [tagger.prepare(text) for text in texts]


def _read(tagger: Tagger, prepared: Sequence[Prepared], answers: Sequence[Tensors]) -> tuple[tuple[Sentence, ...], ...]:
    rest = iter(answers)
    return tuple(tuple(tagger.read(each, [next(rest) for _ in each.windows])) for each in prepared)
