"""How well a model finds named entities: precision, recall and F1 by strict counting of whole spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from trigger_api.datasets.conll import Sample, read_conll
from trigger_api.evaluation import report
from trigger_api.evaluation.report import Table
from trigger_api.evaluation.serving import ServedModel, score_items, serving
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.tasks.entities.bio import OUTSIDE, TYPES, Span, spans
from trigger_api.tasks.entities.compounds import by_word, is_whole
from trigger_api.tasks.entities.tagger import SCORES, Item, Outputs, Tagger

if TYPE_CHECKING:
    import keras

Scorer = Callable[[Sequence[Item]], list[Outputs]]
Tags = Sequence[str]

SERVED_BATCH = 8
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of whole spans: found correctly (``hits``), found at all, and to be found."""

    hits: int
    found: int
    wanted: int

    @property
    def precision(self) -> float:
        """Share of the spans found that are correct, percent."""
        return 100 * self.hits / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the spans to be found that were found, percent."""
        return 100 * self.hits / self.wanted if self.wanted else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, percent."""
        return 200 * self.hits / (self.found + self.wanted) if self.hits else 0.0

    def figures(self) -> dict[str, float]:
        """The three figures to two decimals, and the number of spans to be found."""
        figures = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {name: round(value, 2) for name, value in figures.items()} | {"spans": self.wanted}

    def texts(self) -> list[str]:
        """The same figures for a table."""
        return [*(f"{value:.2f}" for value in (self.precision, self.recall, self.f1)), str(self.wanted)]


@dataclass(frozen=True, slots=True)
class Report(report.Report):
    """The scores of every type and of all together, and the sentences with errors."""

    overall: Score
    types: dict[str, Score]
    sentences: int
    errors: list[tuple[Sample, Tags]]

    def figures(self) -> dict[str, dict[str, float]]:
        """Precision, recall, F1 and the number of spans, overall and by type."""
        return {"overall": self.overall.figures()} | {kind: score.figures() for kind, score in self.types.items()}

    def table(self) -> Table:
        """One row for all types together, then one per type."""
        named = [("overall", self.overall), *self.types.items()]
        rows = [(kind, *score.texts()) for kind, score in named]
        return Table(("type", "precision", "recall", "F1", "spans"), rows)


def evaluate_entities(
    file: Path,
    model: Path,
    types: Collection[str] = TYPES,
    *,
    part: int | None = None,
    lowercase: bool = False,
    isolated: bool = False,
) -> Report:
    """Measure a model folder on a CoNLL file (plain or ``.xz``).

    Args:
        file: sentences with their tags.
        model: the folder.
        types: spans of other types are dropped from both sides before counting.
        part: which of the file's parts counts, from 1; all of them if not given.
        lowercase: lower-case the words first.
        isolated: read every sentence by itself; otherwise a part's sentences are one text, in the file's order.

    Raises:
        OSError: a file cannot be read.
        ValueError: the file has a word without a tag, or the model cannot be loaded.
    """
    samples = read_samples(file, part=part, lowercase=lowercase)
    with serving(model, batch=SERVED_BATCH) as served:
        return measure_entities(samples, served, types, isolated=isolated)


def read_samples(file: Path, *, part: int | None = None, lowercase: bool = False) -> list[Sample]:
    """Read what ``evaluate_entities`` measures on; its arguments and errors."""
    samples = [sample for sample in read_conll(file) if part in (None, sample.part)]
    return [_lowercased(sample) for sample in samples] if lowercase else samples


def measure_entities(
    samples: Sequence[Sample], served: ServedModel, types: Collection[str] = TYPES, *, isolated: bool = False
) -> Report:
    """Measure a model that is served already, for several measurements in a row; see ``evaluate_entities``."""
    return compare(samples, tag(samples, served.assets, partial(_score, served), isolated=isolated), types)


def compare(samples: Sequence[Sample], answers: Iterable[Tags], types: Collection[str] = TYPES) -> Report:
    """Count the spans of ``types`` that answers have in common with the samples' tags."""
    pairs, errors = [], []
    for sample, tags in zip(samples, answers, strict=True):
        right, ours = (frozenset(span for span in spans(each) if span.kind in types) for each in (sample.tags, tags))
        pairs.append((right, ours))
        if ours != right:
            errors.append((sample, tags))
    return Report(*count_spans(pairs, types), len(samples), errors)


def count_spans(
    pairs: Iterable[tuple[Collection[Span], Collection[Span]]], types: Collection[str] = TYPES
) -> tuple[Score, dict[str, Score]]:
    """Count, over pairs of the spans wanted and found: all together, and those of each type."""
    hits, found, wanted = Counter[str](), Counter[str](), Counter[str]()
    for right, ours in pairs:
        hits.update(span.kind for span in set(ours) & set(right))
        found.update(span.kind for span in ours)
        wanted.update(span.kind for span in right)
    scores = {kind: Score(hits[kind], found[kind], wanted[kind]) for kind in TYPES if kind in types}
    return Score(*(sum(counts[kind] for kind in scores) for counts in (hits, found, wanted))), scores


def tag(samples: Sequence[Sample], tagger: Tagger, score: Scorer, *, isolated: bool = False) -> list[list[str]]:
    """Tag sentences that come as words; those of one part are read as one text, or each ``isolated``."""
    parts = [list(text) for _, text in groupby(samples, key=lambda sample: sample.part)]
    texts = [[sample] for sample in samples] if isolated else parts
    windows = [list(tagger.windows([sample.words for sample in text])) for text in texts]
    outputs = iter(score([window.item for each in windows for window in each]))
    answers: list[list[str]] = []
    for text, each in zip(texts, windows, strict=True):
        decided = tagger.decode([sample.words for sample in text], [(window, next(outputs)) for window in each])
        answers += [_word_tags(sample.words, tags) for sample, tags in zip(text, decided, strict=True)]
    return answers


def _word_tags(words: Sequence[str], tags: Sequence[tuple[str, float]]) -> list[str]:
    """The tag of each word; one that only holds a name, as "London-based" does, is outside."""
    grouped = by_word(words, [tag for tag, _ in tags])
    return [each[0] if is_whole(each) else OUTSIDE for each in grouped]


def scorer(network: keras.Model) -> Scorer:
    """Compute items by a Keras network that is still being trained: its weights may change from call to call."""
    import tensorflow as tf

    signature = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in network.inputs}
    run = tf.function(lambda inputs: network(inputs, training=False), input_signature=[signature], autograph=False)

    def compute(tensors: Tensors) -> Tensors:
        return {SCORES: run({name: tf.constant(tensor) for name, tensor in tensors.items()})[SCORES].numpy()}

    return partial(_score, compute)


def _score(compute: CompiledFunction, items: Sequence[Item]) -> list[Outputs]:
    """Compute items in batches of one length, and return their outputs in the items' order."""
    outputs: dict[int, Outputs] = {}
    order = sorted(range(len(items)), key=lambda place: _length(items[place]))
    for _, group in groupby(order, key=lambda place: _length(items[place])):
        places = list(group)
        scored = score_items(compute, (items[place] for place in places), _BATCH)
        outputs.update(zip(places, scored, strict=True))
    return [outputs[place] for place in range(len(items))]


def _length(item: Item) -> int:
    return len(next(iter(item.values())))


def _lowercased(sample: Sample) -> Sample:
    return replace(sample, words=tuple(word.lower() for word in sample.words))
