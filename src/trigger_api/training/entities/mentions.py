"""Mention replacement: sentences of the corpora with other names in them, of kinds that the corpora seldom hold.

A person becomes one with a hyphenated name or a handle, an organisation another one from a list, and some people
become e-mail addresses, which are no names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from trigger_api.tasks.entities.bio import OUTSIDE, spans
from trigger_api.tasks.entities.compounds import all_parts, parts
from trigger_api.training.entities.compounds import Kinds, Tagged
from trigger_api.training.entities.corpus import SILVER

Words = tuple[str, ...]

_LONGEST = 4  # words of a name
_TWEETS = (5, 6)
# In tweets half of the names become handles, elsewhere few.
_HANDLES, _FEW_HANDLES, _ADDRESSES = 0.5, 0.05, 0.07
_HOSTS = ("example.com", "example.org", "mail.com", "gmail.com", "yahoo.co.uk", "university.edu", "posteo.de")
_USERS = ("{0}.{1}", "{0}{1}", "{1}", "{0}_{1}", "{0}-{1}")


@dataclass(frozen=True, slots=True)
class Mention:
    """Words ``first`` to ``last`` (exclusive) of a sentence form one name of this ``kind``."""

    first: int
    last: int
    kind: str


@dataclass(frozen=True, slots=True)
class Names:
    """What mentions are replaced by: hyphenated names and handles of each kind, first and last names, organisations."""

    hyphenated: dict[str, list[Words]] = field(default_factory=lambda: defaultdict(list))
    handles: dict[str, list[Words]] = field(default_factory=lambda: defaultdict(list))
    people: list[Words] = field(default_factory=list)
    organisations: list[Words] = field(default_factory=list)


def mentions(sentence: Tagged) -> Iterator[Mention]:
    """The names in a sentence that begin and end with a word."""
    edges = list(accumulate((len(parts(word)) for word in sentence.words), initial=0))
    for span in spans(sentence.tags):
        if span.first in edges and span.last in edges:
            yield Mention(edges.index(span.first), edges.index(span.last), span.kind)


def replace(sentence: Tagged, mention: Mention, words: Words, *, named: bool = True) -> Tagged:
    """Put other words in a mention's place; if they are not ``named``, they are outside names."""
    before, after = sentence.words[: mention.first], sentence.words[mention.last :]
    start, stop = len(all_parts(before)), len(sentence.tags) - len(all_parts(after))
    size = len(all_parts(words))
    tags = [f"B-{mention.kind}", *[f"I-{mention.kind}"] * (size - 1)] if named else [OUTSIDE] * size
    shift = start + size - stop
    unsure = {index if index < start else index + shift for index in sentence.unsure if not start <= index < stop}
    return Tagged(
        (*before, *words, *after),
        (*sentence.tags[:start], *tags, *sentence.tags[stop:]),
        sentence.part,
        frozenset(unsure),
    )


def collect_names(corpus: Iterable[Tagged], kinds: Kinds, organisations: Iterable[str]) -> Names:
    """Collect the names that a corpus mentions, by how they are written."""
    names = Names(organisations=[words for each in organisations if 0 < len(words := tuple(each.split())) <= _LONGEST])
    for sentence in corpus:
        for mention in mentions(sentence):
            words = sentence.words[mention.first : mention.last]
            if words[0].startswith("@"):
                names.handles[mention.kind].append(words)
            elif _is_hyphenated(words) and (sentence.part != SILVER or mention.kind == "PER"):
                if words not in names.hyphenated[mention.kind]:
                    names.hyphenated[mention.kind].append(words)
            elif mention.kind == "PER" and len(words) == 2 and all(map(str.istitle, words)) and "f" in kinds(words[0]):
                names.people.append(words)
    return names


def _is_hyphenated(words: Words) -> bool:
    return len(words) <= _LONGEST and len(all_parts(words)) > len(words)


def replace_mentions(corpus: Sequence[Tagged], names: Names, share: float, seed: int = 0) -> list[Tagged]:
    """Copies of sentences with one mention replaced, of a ``share`` of all mentions."""
    rng = np.random.default_rng(seed)
    chosen = ((each, mention) for each in corpus for mention in mentions(each) if rng.random() < share)
    copies = (_replaced(each, mention, names, rng) for each, mention in chosen)
    return [copy for copy in copies if copy]


def _replaced(sentence: Tagged, mention: Mention, names: Names, rng: np.random.Generator) -> Tagged | None:
    words = sentence.words[mention.first : mention.last]
    if mention.kind == "PER" and names.people and rng.random() < _ADDRESSES:
        return replace(sentence, mention, (_address(names, rng),), named=False)
    if mention.kind in ("PER", "ORG") and rng.random() < (_HANDLES if sentence.part in _TWEETS else _FEW_HANDLES):
        other: Words | None = _handle(words, names.handles[mention.kind], rng)
    else:
        other = _OTHERS.get(mention.kind, _hyphenated)(mention, names, rng)
    return replace(sentence, mention, other) if other else None


def _handle(words: Words, known: Sequence[Words], rng: np.random.Generator) -> Words | None:
    if known and rng.random() < 0.5:
        return _pick(known, rng)
    joined = "".join(word for word in words if word.isalnum())
    return (f"@{joined}",) if joined else None


def _person(mention: Mention, names: Names, rng: np.random.Generator) -> Words | None:
    """A hyphenated name of the corpora, or one made of two names."""
    if not names.people or rng.random() < 0.5:
        return _hyphenated(mention, names, rng)
    (first, last), (other_first, other_last) = _pick(names.people, rng), _pick(names.people, rng)
    made = [
        (f"{first}-{other_first}", last),
        (first, f"{last}-{other_last}"),
        (f"{first}-{other_first}",),
        (f"{last}-{other_last}",),
    ]
    return _pick(made, rng)


def _organisation(mention: Mention, names: Names, rng: np.random.Generator) -> Words | None:
    listed = names.organisations and rng.random() < 0.5
    return _pick(names.organisations, rng) if listed else _hyphenated(mention, names, rng)


def _hyphenated(mention: Mention, names: Names, rng: np.random.Generator) -> Words | None:
    known = names.hyphenated[mention.kind]
    return _pick(known, rng) if known else None


def _address(names: Names, rng: np.random.Generator) -> str:
    user = _USERS[rng.integers(len(_USERS))].format(*_pick(names.people, rng)).lower()
    return f"{user}@{_HOSTS[rng.integers(len(_HOSTS))]}"


def _pick(known: Sequence[Words], rng: np.random.Generator) -> Words:
    return known[int(rng.integers(len(known)))]


_OTHERS: dict[str, Callable[[Mention, Names, np.random.Generator], Words | None]] = {
    "PER": _person,
    "ORG": _organisation,
}
