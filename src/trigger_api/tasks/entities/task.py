"""Named entities: which people, organisations, places and other things a text names, and where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trigger_api.errors import TooLarge
from trigger_api.model_card import ModelCard
from trigger_api.registry import Model
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Task
from trigger_api.tasks.entities.tagger import Preprocessed, Sentence, Tagger


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
        """Tag texts: any Unicode, blank ones too.

        Args:
            texts: each is tagged independently.
            model: the name of a model; the default one if not given.
            version: a number or a label; see ``Registry.find``.

        Raises:
            ServiceError: the texts are too long together, or the engine cannot answer in time.
        """
        if sum(map(len, texts)) > self._context.max_text_characters:
            raise TooLarge(f"the text is longer than {self._context.max_text_characters} characters")
        async with self._acquire(model, version) as (served, deadline):
            tagger: Tagger = served.assets
            preprocessed = await self._engine.preprocess(_preprocess, tagger, texts)
            outputs = await self._infer([item for each in preprocessed for item in each.items], served, deadline)
            tagged = await self._engine.preprocess(_postprocess, tagger, preprocessed, outputs)
            return EntitiesResult(tagged, served.card.name, served.card.version)

    async def _infer(self, items: Sequence[Tensors], served: Model, deadline: float) -> list[Tensors]:
        """Infer items of all lengths, each length in its own queue; the outputs in the order of the items."""
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            by_length[len(item["pieces"])].append(index)
        work = [(served.queues[length], [items[index] for index in group]) for length, group in by_length.items()]
        outputs: dict[int, Tensors] = {}
        for group, found in zip(by_length.values(), await self._engine.infer_all(work, deadline), strict=True):
            outputs.update(zip(group, found, strict=True))
        return [outputs[index] for index in range(len(items))]


def _preprocess(tagger: Tagger, texts: Sequence[str]) -> list[Preprocessed]:
    return [tagger.preprocess(text) for text in texts]


def _postprocess(
    tagger: Tagger, preprocessed: Sequence[Preprocessed], outputs: Sequence[Tensors]
) -> tuple[tuple[Sentence, ...], ...]:
    rest = iter(outputs)
    return tuple(tuple(tagger.postprocess(each, [next(rest) for _ in each.windows])) for each in preprocessed)
