"""The tagger: from a text to the network's inputs, and from its outputs to tags and entities.

A text is split into sentences and covered by windows that fit the network; each window is one item. In a text of
several sentences, each sentence is scored twice, in context and in isolation, and the scores are averaged: neighbours
tell much about a name, and sometimes mislead. The network scores every piece of a word; the first piece counts, in the
window that shows most of its context. Occurrences of a repeated name influence each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.entities.bio import Span, log_probabilities, spans, viterbi_decode
from trigger_api.tasks.entities.compounds import all_parts, by_word, is_whole, parts
from trigger_api.tasks.entities.consistency import make_consistent
from trigger_api.tasks.entities.gazetteers import FEATURES, Gazetteers
from trigger_api.tasks.entities.tokenizer import Token, sentences
from trigger_api.tasks.entities.wordpiece import BEGIN, END, Pieces, Wordpieces

VOCABULARY_FILE = "vocabulary.txt"
GAZETTEERS_FILE = "gazetteers.tsv.xz"
SCORES = "scores"

_OVERLAP = 48
_MIN_WINDOW = 64
_NO_WORD = -1  # the separator between two sentences belongs to no word

Item = dict[str, NDArray[np.generic]]
Outputs = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class TaggedToken:
    """A word, its position in the text (code points), its tag and the probability of that tag."""

    text: str
    start: int
    end: int
    tag: str
    score: float


@dataclass(frozen=True, slots=True)
class Entity:
    """A named entity: ``text`` is the slice from ``start`` to ``end``, ``score`` that of its least certain word."""

    type: str
    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """The words of one sentence and the entities that they form."""

    tokens: tuple[TaggedToken, ...]
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """One item for the network.

    Attributes:
        isolated: whether it shows one of several sentences without its neighbours.
        words: which of the text's words it shows.
        rows: the row of each word's first piece.
        item: the network's inputs.
    """

    isolated: bool
    words: NDArray[np.int32]
    rows: NDArray[np.intp]
    item: Item


@dataclass(frozen=True, slots=True)
class _Sequence:
    """A sequence of pieces.

    Attributes:
        pieces: vocabulary rows, words and shapes, ``(3, pieces)``.
        features: of the gazetteers, ``(pieces, FEATURES)``.
    """

    pieces: NDArray[np.int32]
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """A text ready for the network: its sentences of words, and the windows that cover them."""

    text: str
    sentences: list[list[Token]]
    windows: list[Window]

    @property
    def items(self) -> list[Item]:
        """The items to infer, one per window."""
        return [window.item for window in self.windows]


class Tagger:
    """Everything of a named-entity model except its network.

    Raises:
        ValueError: the longest sequence length is too short for windows that overlap.
    """

    def __init__(
        self, labels: Sequence[str], lengths: Sequence[int], wordpieces: Wordpieces, gazetteers: Gazetteers
    ) -> None:
        if lengths[-1] < _MIN_WINDOW:
            raise ValueError(f"windows must hold at least {_MIN_WINDOW} pieces")
        self.labels = labels
        self.lengths = lengths
        self.wordpieces = wordpieces
        self.gazetteers = gazetteers

    @classmethod
    def load(cls, folder: Path, labels: Sequence[str], lengths: Sequence[int]) -> Tagger:
        """Read the vocabulary and the gazetteers in a model's folder; labels and lengths are those of its card.

        Raises:
            OSError: one of them cannot be read.
        """
        wordpieces = Wordpieces.load(folder / VOCABULARY_FILE)
        return cls(labels, lengths, wordpieces, Gazetteers.load(folder / GAZETTEERS_FILE))

    def preprocess(self, text: str) -> Preprocessed:
        """Turn any text into items; blank text has none."""
        found = sentences(text)
        words = [[token.text for token in tokens] for tokens in found]
        return Preprocessed(text, found, list(self.windows(words)))

    def windows(self, sentences: Sequence[Sequence[str]]) -> Iterator[Window]:
        """Cover a text with windows of at most the longest length, overlapping if one is not enough.

        Args:
            sentences: the words of each of the text's sentences, none of them empty.
        """
        firsts = accumulate((len(all_parts(each)) for each in sentences), initial=0)
        sequences = [self._encode(each, first) for each, first in zip(sentences, firsts, strict=False)]
        yield from self._cover(self._join(sequences), isolated=False)
        if len(sequences) > 1:
            for sequence in sequences:
                yield from self._cover(sequence, isolated=True)

    def item(self, pieces: Pieces, features: NDArray[np.float32]) -> Item:
        """Frame pieces by the begin and end rows and pad them to the shortest length that holds them."""
        size = len(pieces.rows) + 2
        after = next(length for length in self.lengths if length >= size) - size
        begin, end = (self.wordpieces.row[special] for special in (BEGIN, END))
        return {
            "pieces": np.pad(np.concatenate([[begin], pieces.rows, [end]]), (0, after)).astype(np.int32),
            "shapes": np.pad(pieces.shapes, (1, 1 + after)).astype(np.int32),
            "gazetteers": np.pad(features, ((1, 1 + after), (0, 0))).astype(np.float32),
        }

    def postprocess(self, preprocessed: Preprocessed, outputs: Sequence[Outputs]) -> list[Sentence]:
        """Turn the network's outputs, one per item of ``preprocessed``, into tagged sentences."""
        answers = zip(preprocessed.windows, outputs, strict=True)
        decoded = self.decode([[token.text for token in tokens] for tokens in preprocessed.sentences], answers)
        pairs = zip(preprocessed.sentences, decoded, strict=True)
        return [_sentence(preprocessed.text, tokens, tags) for tokens, tags in pairs]

    def decode(
        self, sentences: Sequence[Sequence[str]], answers: Iterable[tuple[Window, Outputs]]
    ) -> list[list[tuple[str, float]]]:
        """The best valid tag sequence of each sentence: of the parts of its words, with the probability of each tag.

        Args:
            sentences: the words of each of the text's sentences.
            answers: the text's windows and the network's outputs for them.
        """
        if not sentences:
            return []
        sentences = [all_parts(words) for words in sentences]
        answers, ends = list(answers), list(accumulate(map(len, sentences)))
        views = [[answer for answer in answers if answer[0].isolated is isolated] for isolated in (False, True)]
        scores = [log_probabilities(self._scores(ends[-1], view)) for view in views if view]
        log_probs = log_probabilities(make_consistent(sentences, np.mean(scores, axis=0), self.labels))
        return [self._tags(part) for part in np.split(log_probs, ends[:-1])]

    def _encode(self, words: Sequence[str], first: int) -> _Sequence:
        """A sentence's pieces, its words numbered from ``first``, with the features of its gazetteers."""
        pieces = self.wordpieces.split(words)
        features = self.gazetteers.match(all_parts(words))[pieces.parts]
        return _Sequence(np.stack([pieces.rows, pieces.parts + first, pieces.shapes]), features)

    def _join(self, sequences: Sequence[_Sequence]) -> _Sequence:
        """Sentences one after the other, with a separator between them."""
        separator = np.asarray([[self.wordpieces.row[END]], [_NO_WORD], [0]], np.int32)
        pieces = [np.zeros((3, 0), np.int32), *(part for each in sequences for part in (each.pieces, separator))]
        none = np.zeros((1, FEATURES), np.float32)
        features = [none[:0], *(part for each in sequences for part in (each.features, none))]
        return _Sequence(np.concatenate(pieces, axis=1)[:, :-1], np.concatenate(features)[:-1])

    def _cover(self, sequence: _Sequence, *, isolated: bool) -> Iterator[Window]:
        for start, stop in _cuts(sequence.pieces[1], self.lengths[-1] - 2):
            part = Pieces(*sequence.pieces[:, start:stop])
            words, firsts = np.unique(part.parts, return_index=True)
            real = words != _NO_WORD
            yield Window(isolated, words[real], firsts[real] + 1, self.item(part, sequence.features[start:stop]))

    def _scores(self, words: int, answers: Iterable[tuple[Window, Outputs]]) -> NDArray[np.float32]:
        """Each word's scores, from the window that shows most of its context."""
        scores = np.zeros((words, len(self.labels)), np.float32)
        context = np.full(words, -1, np.intp)
        for window, output in answers:
            shown = np.minimum(window.rows, window.rows[-1] - window.rows)
            better = shown > context[window.words]
            scores[window.words[better]] = output[SCORES][window.rows[better]]
            context[window.words[better]] = shown[better]
        return scores

    def _tags(self, log_probs: NDArray[np.float32]) -> list[tuple[str, float]]:
        path = viterbi_decode(log_probs, self.labels)
        return [(self.labels[label], float(np.exp(row[label]))) for row, label in zip(log_probs, path, strict=True)]


def _sentence(text: str, tokens: Sequence[Token], tags: Sequence[tuple[str, float]]) -> Sentence:
    words = zip(tokens, by_word([token.text for token in tokens], tags), strict=True)
    tagged = tuple(part for token, each in words for part in _tagged(token, each))
    return Sentence(tagged, tuple(_entity(text, tagged, span) for span in spans([token.tag for token in tagged])))


def _tagged(token: Token, tags: Sequence[tuple[str, float]]) -> Iterator[TaggedToken]:
    """A word with its tag; a hyphenated one in parts, if a name begins or ends inside it."""
    if is_whole([tag for tag, _ in tags]):
        yield TaggedToken(token.text, token.start, token.end, tags[0][0], min(score for _, score in tags))
        return
    start = token.start
    for part, (tag, score) in zip(parts(token.text), tags, strict=True):
        yield TaggedToken(part, start, start + len(part), tag, score)
        start += len(part)


def _entity(text: str, tokens: Sequence[TaggedToken], span: Span) -> Entity:
    inside = tokens[span.first : span.last]
    start, end = inside[0].start, inside[-1].end
    return Entity(span.kind, text[start:end], start, end, min(token.score for token in inside))


def _cuts(words: NDArray[np.int32], size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of windows of at most ``size`` pieces that begin and end between words."""
    edges = np.flatnonzero(np.diff(words, prepend=-2, append=-2))
    start = stop = 0
    while stop < len(words):
        start = _last_edge(edges, max(0, stop - _OVERLAP))
        stop = _last_edge(edges, start + size)
        yield start, stop


def _last_edge(edges: NDArray[np.intp], position: int) -> int:
    """The last edge at or before a position."""
    return int(edges[np.searchsorted(edges, position, side="right") - 1])
