"""Which model hears a word, and how it decides."""

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
    """A version that hears a word, and the version of the backbone whose embeddings it takes, if it is a head."""

    model: Model
    backbone: Model | None = None

    @property
    def card(self) -> ModelCard:
        """The word's card."""
        return self.model.card

    @property
    def listener(self) -> Model:
        """What takes the features of the audio: the backbone, or the model itself."""
        return self.backbone or self.model


@contextmanager
def acquire(registry: Registry, names: Sequence[str | None], version: str | None = None) -> Iterator[list[WordModel]]:
    """Pin the versions of some words' models and of their backbone, the same for all, for a whole request.

    Args:
        registry: has them.
        names: of trigger models; None is the default one.
        version: of each; see ``Registry.find``.

    Raises:
        UnknownModel: there is no such model or version.
        NotReady: one of them, or its backbone, is loading, failed to load, or was unloaded.
    """
    with ExitStack() as pinned:
        models = [pinned.enter_context(registry.acquire("trigger", name, version)) for name in names]
        wanted = dict.fromkeys(model.card.backbone for model in models if model.card.backbone)
        backbones = {name: pinned.enter_context(registry.acquire("embedding", name)) for name in wanted}
        yield [WordModel(model, backbones.get(model.card.backbone)) for model in models]


def keyword(card: ModelCard) -> str:
    """The word that a model hears."""
    return card.labels[0] if card.labels else card.name


def normalised(word: str) -> str:
    """A word without regard to case, and with ``_``, ``-`` and spaces as one: Hey_Jarvis is hey jarvis."""
    return " ".join(word.casefold().replace("_", " ").replace("-", " ").split())


def model_for_word(cards: Sequence[ModelCard], word: str) -> str:
    """The name of the first model that hears a word: one that is called just so, or else but for case and hyphens.

    Raises:
        UnknownModel: there is none.
    """
    wanted = normalised(word)
    exact = (card.name for card in cards if word in (card.name, *card.labels))
    alike = (card.name for card in cards if wanted in map(normalised, (card.name, *card.labels)))
    found = next(exact, None) or next(alike, None)
    if found is None:
        raise UnknownModel(f"no model listens for that word; known: {', '.join(sorted({keyword(c) for c in cards}))}")
    return found


def models_for_words(cards: Sequence[ModelCard], words: Sequence[str]) -> list[str]:
    """The names of the models that hear some words, each once; ``*`` is every word.

    Raises:
        UnknownModel: a word is not known, or there is none at all.
    """
    if cards and EVERY_WORD in words:
        return list(dict.fromkeys(card.name for card in cards))
    return list(dict.fromkeys(model_for_word(cards, word) for word in words))


def decision_for(card: ModelCard, *, sensitivity: str | None = None, threshold: float | None = None) -> Decision:
    """The card's decision with the caller's threshold, or that of a sensitivity it has measured.

    Raises:
        Unprocessable: the model has no such sensitivity, or both are given.
    """
    if sensitivity is not None and threshold is not None:
        raise Unprocessable("give a sensitivity or a threshold, not both")
    decision = card.decision or Decision()
    known: dict[str, float] = {"medium": decision.threshold, **decision.sensitivities}
    if sensitivity is not None:
        if sensitivity not in known:
            raise Unprocessable(f"{card.name} knows these sensitivities: {', '.join(known)}; or give a threshold")
        threshold = known[sensitivity]
    return decision if threshold is None else decision.model_copy(update={"threshold": threshold})
