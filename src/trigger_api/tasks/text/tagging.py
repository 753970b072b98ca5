"""Tagging: a text in, its words with legal BIO tags and the entities they form out; the network runs elsewhere.

Text is split into sentences, sentences into windows that fit the network, and each window becomes one item. The
network scores every piece of a word against every label; a word's first piece speaks for it, in the window that shows
most of its surroundings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.text.bio import Span, best_legal, log_probabilities, spans
from trigger_api.tasks.text.gazetteers import Gazetteers
from trigger_api.tasks.text.tokens import Token, sentences
from trigger_api.tasks.text.wordpiece import BEGIN, END, Pieces, Wordpieces

VOCABULARY_FILE = "vocabulary.txt"
GAZETTEERS_FILE = "gazetteers.tsv.xz"
SCORES = "scores"

_OVERLAP = 24
_SHORTEST_WINDOW = 64

Item = dict[str, NDArray[np.generic]]
Outputs = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class TaggedToken:
    """A word, its place in the text (code points), its tag and the network's belief in that tag (0..1)."""

    text: str
    start: int
    end: int
    tag: str
    score: float


@dataclass(frozen=True, slots=True)
class Entity:
    """A named entity: ``text`` is the slice from ``start`` to ``end``; ``score`` that of its least certain word."""

    type: str
    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence's words and the entities they form."""

    tokens: tuple[TaggedToken, ...]
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """One item for the network: which words of which sentence it shows, and the row of each word's first piece."""

    sentence: int
    words: NDArray[np.int32]
    rows: NDArray[np.intp]
    item: Item


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text ready for the network: its sentences of words, and the windows that cover them."""

    text: str
    sentences: list[list[Token]]
    windows: list[Window]

    @property
    def items(self) -> list[Item]:
        """What the engine is to run, one item a window."""
        return [window.item for window in self.windows]


class Tagger:
    """Everything about a named-entity model but its network.

    Raises:
        ValueError: the longest length is too short for windows that overlap.
    """

    def __init__(
        self, labels: Sequence[str], lengths: Sequence[int], wordpieces: Wordpieces, gazetteers: Gazetteers
    ) -> None:
        if lengths[-1] < _SHORTEST_WINDOW:
            raise ValueError(f"windows must hold at least {_SHORTEST_WINDOW} pieces")
        self.labels = labels
        self.lengths = lengths
        self.wordpieces = wordpieces
        self.gazetteers = gazetteers

    @classmethod
    def load(cls, folder: Path, labels: Sequence[str], lengths: Sequence[int]) -> Tagger:
        """Read the vocabulary and the gazetteers that lie beside a model; the card has its labels and lengths.

        Raises:
            OSError: one of them cannot be read.
        """
        wordpieces = Wordpieces.load(folder / VOCABULARY_FILE)
        return cls(labels, lengths, wordpieces, Gazetteers.load(folder / GAZETTEERS_FILE))

    def prepare(self, text: str) -> Prepared:
        """Turn any text into items; blank text has none."""
        found = sentences(text)
        words = [[token.text for token in tokens] for tokens in found]
        return Prepared(
            text, found, [window for index, each in enumerate(words) for window in self.windows(each, index)]
        )

    def windows(self, words: Sequence[str], sentence: int = 0) -> Iterator[Window]:
        """Cover one sentence of words by windows of at most the longest length, overlapping where there are several."""
        pieces = self.wordpieces.split(words)
        marks = self.gazetteers.match(words)[pieces.words]
        for start, stop in _cuts(pieces, self.lengths[-1] - 2):
            part = Pieces(pieces.rows[start:stop], pieces.words[start:stop], pieces.shapes[start:stop])
            shown, firsts = np.unique(part.words, return_index=True)
            yield Window(sentence, shown, firsts + 1, self.item(part, marks[start:stop]))

    def item(self, pieces: Pieces, marks: NDArray[np.float32]) -> Item:
        """Frame pieces by the begin and end rows and pad them to the shortest length that holds them."""
        size = len(pieces.rows) + 2
        after = next(length for length in self.lengths if length >= size) - size
        begin, end = (self.wordpieces.row[special] for special in (BEGIN, END))
        return {
            "pieces": np.pad(np.concatenate([[begin], pieces.rows, [end]]), (0, after)).astype(np.int32),
            "shapes": np.pad(pieces.shapes, (1, 1 + after)).astype(np.int32),
            "gazetteers": np.pad(marks, ((1, 1 + after), (0, 0))).astype(np.float32),
        }

    def read(self, prepared: Prepared, outputs: Sequence[Outputs]) -> list[Sentence]:
        """Turn the network's outputs, one an item of ``prepared`` in its order, into tagged sentences."""
        answers: list[list[tuple[Window, Outputs]]] = [[] for _ in prepared.sentences]
        for window, output in zip(prepared.windows, outputs, strict=True):
            answers[window.sentence].append((window, output))
        pairs = zip(prepared.sentences, answers, strict=True)
        return [self._sentence(prepared.text, tokens, self.decide(len(tokens), each)) for tokens, each in pairs]

    def decide(self, words: int, answers: Sequence[tuple[Window, Outputs]]) -> list[tuple[str, float]]:
        """Give each of a sentence's words its tag in the best legal sequence, and the belief in it (0..1)."""
        scores = np.zeros((words, len(self.labels)), np.float32)
        context = np.full(words, -1, np.intp)
        for window, output in answers:
            seen = np.minimum(window.rows, window.rows[-1] - window.rows)
            better = seen > context[window.words]
            scores[window.words[better]] = output[SCORES][window.rows[better]]
            context[window.words[better]] = seen[better]
        beliefs = log_probabilities(scores)
        path = best_legal(beliefs, self.labels)
        return [(self.labels[label], float(np.exp(row[label]))) for row, label in zip(beliefs, path, strict=True)]

    def _sentence(self, text: str, tokens: Sequence[Token], tags: Sequence[tuple[str, float]]) -> Sentence:
        pairs = zip(tokens, tags, strict=True)
        tagged = tuple(TaggedToken(token.text, token.start, token.end, tag, score) for token, (tag, score) in pairs)
        return Sentence(tagged, tuple(_entity(text, tagged, span) for span in spans([token.tag for token in tagged])))


def _entity(text: str, tokens: Sequence[TaggedToken], span: Span) -> Entity:
    inside = tokens[span.first : span.last]
    start, end = inside[0].start, inside[-1].end
    return Entity(span.kind, text[start:end], start, end, min(token.score for token in inside))


def _cuts(pieces: Pieces, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of windows of at most ``size`` pieces that begin and end between words."""
    edges = np.flatnonzero(np.diff(pieces.words, prepend=-1, append=-1))
    start = stop = 0
    while stop < len(pieces.rows):
        start = int(edges[edges <= max(0, stop - _OVERLAP)][-1])
        stop = int(edges[edges <= start + size][-1])
        yield start, stop
