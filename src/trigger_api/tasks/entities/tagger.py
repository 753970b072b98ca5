"""Tagging: a text in, its words with legal BIO tags and the entities they form out; the network runs elsewhere.

Text is split into sentences, and seen through windows that fit the network, each of which becomes one item. Where there
are several sentences each is read twice, among its neighbours and by itself, and the mean of both counts: neighbours
tell much about a name, and sometimes mislead. The network scores every piece of a word against every label; a word's
first piece speaks for it, in the window that shows most of its surroundings. Where a text repeats a name, its places
lean on one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.entities.bio import Span, best_legal, log_probabilities, spans
from trigger_api.tasks.entities.consistency import agreed
from trigger_api.tasks.entities.gazetteers import FEATURES, Gazetteers
from trigger_api.tasks.entities.tokenizer import Token, sentences
from trigger_api.tasks.entities.wordpiece import BEGIN, END, Pieces, Wordpieces

VOCABULARY_FILE = "vocabulary.txt"
GAZETTEERS_FILE = "gazetteers.tsv.xz"
SCORES = "scores"

_OVERLAP = 48
_SHORTEST_WINDOW = 64
# What stands between two sentences is part of no word.
_NO_WORD = -1

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
    """One item for the network: which of a text's words it shows, and the row of each one's first piece.

    ``apart`` tells that it shows a sentence by itself that another window shows among its neighbours.
    """

    apart: bool
    words: NDArray[np.int32]
    rows: NDArray[np.intp]
    item: Item


@dataclass(frozen=True, slots=True)
class _Stream:
    """Pieces in a row: vocabulary rows, words and shapes (3, pieces); where known names stand (pieces, FEATURES)."""

    pieces: NDArray[np.int32]
    marks: NDArray[np.float32]


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
        return Prepared(text, found, list(self.windows(words)))

    def windows(self, sentences: Sequence[Sequence[str]]) -> Iterator[Window]:
        """Cover a text by windows of at most the longest length, overlapping where one does not do.

        Args:
            sentences: the words of each of the text's sentences, none of them empty.
        """
        firsts = accumulate((len(each) for each in sentences), initial=0)
        streams = [self._stream(each, first) for each, first in zip(sentences, firsts, strict=False)]
        yield from self._cover(self._joined(streams), apart=False)
        if len(streams) > 1:
            for stream in streams:
                yield from self._cover(stream, apart=True)

    def _stream(self, words: Sequence[str], first: int) -> _Stream:
        """A sentence's pieces, its words numbered from ``first``, and where known names stand."""
        pieces = self.wordpieces.split(words)
        marks = self.gazetteers.match(words)[pieces.words]
        return _Stream(np.stack([pieces.rows, pieces.words + first, pieces.shapes]), marks)

    def _joined(self, streams: Sequence[_Stream]) -> _Stream:
        """Sentences one after the other, with a mark between them."""
        mark = np.asarray([[self.wordpieces.row[END]], [_NO_WORD], [0]], np.int32)
        pieces = [np.zeros((3, 0), np.int32), *(part for each in streams for part in (each.pieces, mark))]
        none = np.zeros((1, FEATURES), np.float32)
        marks = [none[:0], *(part for each in streams for part in (each.marks, none))]
        return _Stream(np.concatenate(pieces, axis=1)[:, :-1], np.concatenate(marks)[:-1])

    def _cover(self, stream: _Stream, *, apart: bool) -> Iterator[Window]:
        for start, stop in _cuts(stream.pieces[1], self.lengths[-1] - 2):
            part = Pieces(*stream.pieces[:, start:stop])
            shown, firsts = np.unique(part.words, return_index=True)
            named = shown != _NO_WORD
            yield Window(apart, shown[named], firsts[named] + 1, self.item(part, stream.marks[start:stop]))

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
        answers = zip(prepared.windows, outputs, strict=True)
        decided = self.decide([[token.text for token in tokens] for tokens in prepared.sentences], answers)
        pairs = zip(prepared.sentences, decided, strict=True)
        return [self._sentence(prepared.text, tokens, tags) for tokens, tags in pairs]

    def decide(
        self, sentences: Sequence[Sequence[str]], answers: Iterable[tuple[Window, Outputs]]
    ) -> list[list[tuple[str, float]]]:
        """Give each sentence's words their tags in the best legal sequence, and the belief in each (0..1).

        Args:
            sentences: the words of each of the text's sentences.
            answers: the text's windows, and what the network said to them.
        """
        if not sentences:
            return []
        given, ends = list(answers), list(accumulate(map(len, sentences)))
        views = [[(window, output) for window, output in given if window.apart is apart] for apart in (False, True)]
        scores = [log_probabilities(self._scores(ends[-1], view)) for view in views if view]
        beliefs = log_probabilities(agreed(sentences, np.mean(scores, axis=0), self.labels))
        return [self._tags(part) for part in np.split(beliefs, ends[:-1])]

    def _scores(self, words: int, answers: Iterable[tuple[Window, Outputs]]) -> NDArray[np.float32]:
        """Each word's scores from the window that shows most of its surroundings."""
        scores = np.zeros((words, len(self.labels)), np.float32)
        context = np.full(words, -1, np.intp)
        for window, output in answers:
            seen = np.minimum(window.rows, window.rows[-1] - window.rows)
            better = seen > context[window.words]
            scores[window.words[better]] = output[SCORES][window.rows[better]]
            context[window.words[better]] = seen[better]
        return scores

    def _tags(self, beliefs: NDArray[np.float32]) -> list[tuple[str, float]]:
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


def _cuts(words: NDArray[np.int32], size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of windows of at most ``size`` pieces that begin and end between words."""
    edges = np.flatnonzero(np.diff(words, prepend=-2, append=-2))
    start = stop = 0
    while stop < len(words):
        start = _last(edges, max(0, stop - _OVERLAP))
        stop = _last(edges, start + size)
        yield start, stop


def _last(edges: NDArray[np.intp], place: int) -> int:
    """The last edge that is not beyond a place."""
    return int(edges[np.searchsorted(edges, place, side="right") - 1])
