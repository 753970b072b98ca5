"""Which model detects a word, and how its scores are decided on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from trigger_api.errors import UnknownModel, Unprocessable
from trigger_api.model_card import Decision, ModelCard
from trigger_api.registry import Model, Registry

EVERY_WORD = "*"


@dataclass(frozen=True)
class WordModel:
    """A version that detects a word, and the version of its backbone if it is a head."""

    model: Model
    backbone: Model | None = None

    @property
    def card(self) -> ModelCard:
        """The word's card."""
        return self.model.card

    @property
    def audio_model(self) -> Model:
        """The model that takes audio features: the backbone, or the model itself."""
        return self.backbone or self.model


@contextmanager
def acquire(registry: Registry, names: Sequence[str | None], version: str | None = None) -> Iterator[list[WordModel]]:
    """Hold the versions of some words' models, and one version of each backbone for all of them, for a whole request.

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
        yield [WordModel(model, backbones.get(model.card.backbone)) for model in models]


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
