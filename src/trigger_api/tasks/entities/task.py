"""Named entities: which people, organisations, places and other things a text names, and where."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trigger_api.errors import TooLarge
from trigger_api.model_card import ModelCard
from trigger_api.registry import Model
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Task
from trigger_api.tasks.entities.tagger import Prepared, Sentence, Tagger


@dataclass(frozen=True)
class EntitiesResult:
    """What was found in each text of one request, sentence by sentence."""

    texts: tuple[tuple[Sentence, ...], ...]
    model: str
    version: str


class Entities(Task):
    """Tags the named entities in texts."""

    name = "entities"

    @staticmethod
    def load_assets(folder: Path, card: ModelCard) -> Tagger:
        """Read the vocabulary and the gazetteers of one version.

        Raises:
            OSError: one of them cannot be read.
            ValueError: the longest of the card's sequence lengths is too short for windows that overlap.
        """
        return Tagger.load(folder, card.labels, card.sequence_lengths)

    async def predict(
        self, texts: Sequence[str], *, model: str | None = None, version: str | None = None
    ) -> EntitiesResult:
        """Read texts, any Unicode, blank ones too.

        Args:
            texts: each is read by itself.
            model: a model's name; the default one if not given.
            version: a number or a label; see ``Registry.find``.

        Raises:
            ServiceError: the texts are too long together, or the engine cannot answer in time.
        """
        if sum(map(len, texts)) > self._context.max_text_characters:
            raise TooLarge(f"the text is longer than {self._context.max_text_characters} characters")
        async with self._acquire(model, version) as (served, deadline):
            tagger: Tagger = served.assets
            prepared = await self._engine.preprocess(_prepare, tagger, texts)
            answers = await self._infer([item for each in prepared for item in each.items], served, deadline)
            read = await self._engine.preprocess(_read, tagger, prepared, answers)
            return EntitiesResult(read, served.card.name, served.card.version)

    async def _infer(self, items: Sequence[Tensors], served: Model, deadline: float) -> list[Tensors]:
        """Answer the items in their order, those of one length in one queue."""
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


def _prepare(tagger: Tagger, texts: Sequence[str]) -> list[Prepared]:
    return [tagger.prepare(text) for text in texts]


def _read(tagger: Tagger, prepared: Sequence[Prepared], answers: Sequence[Tensors]) -> tuple[tuple[Sentence, ...], ...]:
    rest = iter(answers)
    return tuple(tuple(tagger.read(each, [next(rest) for _ in each.windows])) for each in prepared)
