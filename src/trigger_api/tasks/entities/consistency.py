"""Label consistency: where a text repeats a name, its occurrences influence each other's labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.entities.bio import OUTSIDE, Floats, spans, viterbi_decode

Words = tuple[str, ...]
Rows = NDArray[np.intp]

# How much the other occurrences of a name count; from 0.2 to 1 it makes little difference on dev.
_WEIGHT = 0.3


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence's first row, its words, and the tags that it has by itself."""

    first: int
    words: Words
    tags: list[str]


def make_consistent(sentences: Sequence[Sequence[str]], log_probs: Floats, labels: Sequence[str]) -> Floats:
    """Add to each occurrence of a repeated name a share of the log-probabilities of the others.

    Args:
        sentences: the words of each sentence of a text.
        log_probs: of all its words, ``(words, labels)``.
        labels: BIO tags.

    Returns:
        Unnormalised log-probabilities of the same shape.
    """
    adjusted = log_probs.copy()
    for rows in _repeated_names(_tag(sentences, log_probs, labels)):
        own = log_probs[rows]
        adjusted[rows] = own + _WEIGHT * (own.sum(axis=0) - own)
    return adjusted


def _tag(sentences: Sequence[Sequence[str]], log_probs: Floats, labels: Sequence[str]) -> list[_Sentence]:
    firsts = list(accumulate(map(len, sentences), initial=0))
    parts = np.split(log_probs, firsts[1:-1])
    return [
        _Sentence(first, tuple(words), [labels[label] for label in viterbi_decode(part, labels)])
        for first, words, part in zip(firsts, sentences, parts, strict=False)
    ]


def _repeated_names(sentences: Sequence[_Sentence]) -> Iterator[Rows]:
    """The rows (occurrences, words) of every name that was found once and that the text repeats."""
    starts: defaultdict[Words, list[int]] = defaultdict(list)
    for each in sentences:
        for span in spans(each.tags):
            starts[each.words[span.first : span.last]].append(each.first + span.first)
    sizes = sorted({len(name) for name in starts})
    for each in sentences:
        for start, words in _untagged_runs(each, sizes):
            if words in starts:
                starts[words].append(each.first + start)
    for name, found in starts.items():
        if len(found) > 1:
            yield np.asarray(found)[:, None] + np.arange(len(name))


def _untagged_runs(sentence: _Sentence, sizes: Sequence[int]) -> Iterator[tuple[int, Words]]:
    """Every run of words outside entities that has one of these sizes, with its start."""
    for start in range(len(sentence.words)):
        for size in sizes:
            run = sentence.tags[start : start + size]
            if len(run) < size or any(tag != OUTSIDE for tag in run):
                break
            yield start, sentence.words[start : start + size]
