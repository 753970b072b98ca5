"""Which model detects a word, and how its scores are decided on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trigger_api.errors import NotReady, UnknownModel, Unprocessable
from trigger_api.model_card import Decision, ModelCard
from trigger_api.registry import Model, Registry
from trigger_api.tasks.trigger.low_rank import LowRankHead

EVERY_WORD = "*"
_CLEAR = 10  # gates that a threshold is above, at least: near to it, the student's errors would decide


@dataclass(frozen=True)
class WordModel:
    """A version that detects a word, and the embedding models of it if it is a head.

    Attributes:
        model: the head, or a model that takes audio features.
        backbone: the embedding model whose outputs the head takes.
        student: a cheaper embedding model, whose embeddings the head scores first.
    """

    model: Model
    backbone: Model | None = None
    student: Model | None = None

    @property
    def card(self) -> ModelCard:
        """The word's card."""
        return self.model.card

    @property
    def audio_model(self) -> Model:
        """The model that takes audio features: the student, the backbone, or the model itself."""
        return self.student or self.backbone or self.model

    @property
    def without_student(self) -> WordModel:
        """The same word on the backbone's own embeddings."""
        return replace(self, student=None)

    @property
    def low_rank(self) -> LowRankHead | None:
        """What tells at a fraction of the head's cost, on the student's embeddings, that the word was not said."""
        assets: LowRankHead | None = self.model.assets if self.student else None
        return assets

    def is_candidate(self, scores: NDArray[np.float32], decision: Decision) -> bool:
        """Whether scores on the student's embeddings leave it open that the word was said."""
        return self.student is not None and bool(scores.max(initial=0) >= gate(decision))


def gate(decision: Decision) -> float:
    """The score on the student's embeddings from which the backbone is asked; always, at a low threshold."""
    return decision.gate if decision.threshold >= _CLEAR * decision.gate else 0.0


@contextmanager
def acquire(registry: Registry, names: Sequence[str | None], version: str | None = None) -> Iterator[list[WordModel]]:
    """Hold the versions of some words' models, and one version of each embedding model for all of them, for a request.

    A student that is not being served is left out.

    Args:
        registry: where they are found.
        names: of trigger models; None means the default one.
        version: of each; see ``Registry.find``.

    Raises:
        UnknownModel: there is no such model or version.
        NotReady: one of them, or its backbone, is loading, failed to load, or was unloaded.
    """
    with ExitStack() as held:
        models = [held.enter_context(registry.acquire("trigger", name, version)) for name in names]
        backbone_names = dict.fromkeys(model.card.backbone for model in models if model.card.backbone)
        backbones = {name: held.enter_context(registry.acquire("embedding", name)) for name in backbone_names}
        students = {model.card.student: _student(registry, model.card.student, held) for model in models}
        yield [WordModel(model, backbones.get(model.card.backbone), students[model.card.student]) for model in models]


def _student(registry: Registry, name: str, held: ExitStack) -> Model | None:
    try:
        return held.enter_context(registry.acquire("embedding", name)) if name else None
    except (UnknownModel, NotReady):
        return None


def keyword(card: ModelCard) -> str:
    """The word that a model detects."""
    return card.labels[0] if card.labels else card.name


def normalise_word(word: str) -> str:
    """A word in lower case, with single spaces for ``_``, ``-`` and spaces: Hey_Jarvis becomes hey jarvis."""
    return " ".join(word.casefold().replace("_", " ").replace("-", " ").split())


def model_for_word(cards: Sequence[ModelCard], word: str) -> str:
    """The name of the first model for a word: an exact match, or else one but for case, hyphens and spaces.

    Raises:
        UnknownModel: there is none.
    """
    normalised = normalise_word(word)
    exact = (card.name for card in cards if word in (card.name, *card.labels))
    similar = (card.name for card in cards if normalised in map(normalise_word, (card.name, *card.labels)))
    found = next(exact, None) or next(similar, None)
    if found is None:
        known = ", ".join(sorted({keyword(card) for card in cards}))
        raise UnknownModel(f"no model detects this word; known words: {known}")
    return found


def models_for_words(cards: Sequence[ModelCard], words: Sequence[str]) -> list[str]:
    """The names of the models that detect some words, each once; ``*`` means every word.

    Raises:
        UnknownModel: a word is unknown, or there are no models.
    """
    if cards and EVERY_WORD in words:
        return list(dict.fromkeys(card.name for card in cards))
    return list(dict.fromkeys(model_for_word(cards, word) for word in words))


def decision_for(card: ModelCard, *, sensitivity: str | None = None, threshold: float | None = None) -> Decision:
    """The card's decision, with the caller's threshold or with that of a measured sensitivity.

    Raises:
        Unprocessable: the model has no such sensitivity, or both are given.
    """
    if sensitivity is not None and threshold is not None:
        raise Unprocessable("give a sensitivity or a threshold, not both")
    decision = card.decision or Decision()
    known: dict[str, float] = {"medium": decision.threshold, **decision.sensitivities}
    if sensitivity is not None:
        if sensitivity not in known:
            raise Unprocessable(f"{card.name} has the sensitivities {', '.join(known)}; you may also give a threshold")
        threshold = known[sensitivity]
    return decision if threshold is None else decision.model_copy(update={"threshold": threshold})
