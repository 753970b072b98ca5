"""One name, one kind: where a text repeats a name, its places lean on one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.entities.bio import OUTSIDE, Floats, best_legal, spans

Words = tuple[str, ...]
Rows = NDArray[np.intp]

# What another place of a name counts beside its own surroundings; from 0.2 to 1 it makes little difference on dev.
_OTHERS = 0.3


def agreed(sentences: Sequence[Sequence[str]], beliefs: Floats, labels: Sequence[str]) -> Floats:
    """Add to the beliefs (words, labels) in each place of a name a share of those in its other places."""
    leaning = beliefs.copy()
    for rows in _places(sentences, beliefs, labels):
        own = beliefs[rows]
        leaning[rows] = own + _OTHERS * (own.sum(axis=0) - own)
    return leaning


def _places(sentences: Sequence[Sequence[str]], beliefs: Floats, labels: Sequence[str]) -> Iterator[Rows]:
    """The rows (places, words) of every name that a first reading finds and the text repeats."""
    read = list(_read(sentences, beliefs, labels))
    places: defaultdict[Words, list[int]] = defaultdict(list)
    for first, words, tags in read:
        for span in spans(tags):
            places[words[span.first : span.last]].append(first + span.first)
    sizes = sorted({len(name) for name in places})
    for first, words, tags in read:
        for start, run in _unnamed(words, tags, sizes):
            if run in places:
                places[run].append(first + start)
    repeated = {name: starts for name, starts in places.items() if len(starts) > 1}
    yield from (np.asarray(starts)[:, None] + np.arange(len(name)) for name, starts in repeated.items())


def _read(
    sentences: Sequence[Sequence[str]], beliefs: Floats, labels: Sequence[str]
) -> Iterator[tuple[int, Words, list[str]]]:
    """Each sentence's first row, its words and the tags that it has by itself."""
    firsts = list(accumulate(map(len, sentences), initial=0))
    parts = np.split(beliefs, firsts[1:-1])
    for first, words, part in zip(firsts, sentences, parts, strict=False):
        yield first, tuple(words), [labels[label] for label in best_legal(part, labels)]


def _unnamed(words: Words, tags: Sequence[str], sizes: Sequence[int]) -> Iterator[tuple[int, Words]]:
    """Every run of words of one of these sizes of which none is in a name, and where it begins."""
    for start in range(len(words)):
        for size in sizes:
            run = tags[start : start + size]
            if len(run) < size or any(tag != OUTSIDE for tag in run):
                break
            yield start, words[start : start + size]
