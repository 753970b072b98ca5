"""How well a model finds named entities: precision, recall and F1 by strict counting of whole spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trigger_api.datasets.conll import Sample, read_conll
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.tasks.entities.bio import TYPES, spans
from trigger_api.tasks.entities.tagger import SCORES, Item, Outputs, Tagger

if TYPE_CHECKING:
    import keras

Scorer = Callable[[Sequence[Item]], list[Outputs]]
Tags = Sequence[str]

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Score:
    """Whole spans found right (``hits``), found at all, and to be found."""

    hits: int
    found: int
    wanted: int

    @property
    def precision(self) -> float:
        """Share of the found that are right, percent."""
        return 100 * self.hits / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the wanted that were found, percent."""
        return 100 * self.hits / self.wanted if self.wanted else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, percent."""
        return 200 * self.hits / (self.found + self.wanted) if self.hits else 0.0

    def figures(self) -> dict[str, float]:
        """The three figures to two decimals, and the number of spans to be found."""
        figures = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {name: round(value, 2) for name, value in figures.items()} | {"spans": self.wanted}


@dataclass(frozen=True, slots=True)
class Report:
    """The scores of every type and of all together, and the sentences that went wrong."""

    overall: Score
    types: dict[str, Score]
    sentences: int
    errors: list[tuple[Sample, Tags]]

    def figures(self) -> dict[str, dict[str, float]]:
        """What the card keeps and ``--json`` prints."""
        return {"overall": self.overall.figures()} | {kind: score.figures() for kind, score in self.types.items()}


def evaluate_entities(
    file: Path,
    model: Path,
    types: Collection[str] = TYPES,
    *,
    part: int | None = None,
    lower: bool = False,
    apart: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Report:
    """Measure a model folder on a CoNLL file (plain or ``.xz``).

    Args:
        file: what was tagged by others.
        model: the folder.
        types: spans of other types are dropped from both sides before counting.
        part: which of the file's parts counts, from 1; all of them if not given.
        lower: put the words in small letters first.
        apart: read every sentence by itself; otherwise a part's sentences are one text, as they stand in the file.
        progress: is told the share done, 0..1.

    Raises:
        OSError: a file cannot be read.
        ValueError: the file has a word without a tag.
        pydantic.ValidationError: the model's card is not one.
    """
    import keras

    card = read_card(model)
    tagger = Tagger.load(model, card.labels, card.sequence_lengths)
    network = keras.models.load_model(model / WEIGHTS_FILE, compile=False, safe_mode=True)
    chosen = [sample for sample in read_conll(file) if part in (None, sample.part)]
    samples = [_lowered(sample) if lower else sample for sample in chosen]
    return compare(samples, tag(samples, tagger, scorer(network, progress), apart=apart), types)


def compare(samples: Sequence[Sample], answers: Iterable[Tags], types: Collection[str] = TYPES) -> Report:
    """Count the spans of ``types`` that answers have in common with the samples' tags."""
    hits, found, wanted = Counter[str](), Counter[str](), Counter[str]()
    errors = []
    for sample, tags in zip(samples, answers, strict=True):
        right = {span for span in spans(sample.tags) if span.kind in types}
        ours = {span for span in spans(tags) if span.kind in types}
        hits.update(span.kind for span in ours & right)
        found.update(span.kind for span in ours)
        wanted.update(span.kind for span in right)
        if ours != right:
            errors.append((sample, tags))
    scores = {kind: Score(hits[kind], found[kind], wanted[kind]) for kind in TYPES if kind in types}
    overall = Score(hits.total(), found.total(), wanted.total())
    return Report(overall, scores, len(samples), errors)


def tag(samples: Sequence[Sample], tagger: Tagger, score: Scorer, *, apart: bool = False) -> list[list[str]]:
    """Tag sentences that come as words; those of one part are read as one text, or each ``apart``."""
    parts = [list(text) for _, text in groupby(samples, key=lambda sample: sample.part)]
    texts = [[sample] for sample in samples] if apart else parts
    windows = [list(tagger.windows([sample.words for sample in text])) for text in texts]
    outputs = iter(score([window.item for each in windows for window in each]))
    answers: list[list[str]] = []
    for text, each in zip(texts, windows, strict=True):
        decided = tagger.decide([sample.words for sample in text], [(window, next(outputs)) for window in each])
        answers += [[label for label, _ in tags] for tags in decided]
    return answers


def scorer(network: keras.Model, progress: Callable[[float], None] | None = None) -> Scorer:
    """Run a Keras network over items, in batches of one length."""
    import tensorflow as tf

    signature = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in network.inputs}
    run = tf.function(lambda inputs: network(inputs, training=False), input_signature=[signature], autograph=False)

    def score(items: Sequence[Item]) -> list[Outputs]:
        outputs: list[Outputs] = [{}] * len(items)
        order = sorted(range(len(items)), key=lambda index: _length(items[index]))
        for start, members in _runs(order, items):
            inputs = {
                name: tf.constant(np.stack([items[member][name] for member in members])) for name in items[members[0]]
            }
            for member, scores in zip(members, run(inputs)[SCORES].numpy(), strict=True):
                outputs[member] = {SCORES: scores}
            if progress:
                progress((start + len(members)) / len(items))
        return outputs

    return score


def _runs(order: Sequence[int], items: Sequence[Item]) -> Iterable[tuple[int, list[int]]]:
    """Yield (place, members) of batches whose items have one length."""
    start = 0
    while start < len(order):
        length = _length(items[order[start]])
        members = [each for each in order[start : start + _BATCH] if _length(items[each]) == length]
        yield start, members
        start += len(members)


def _length(item: Item) -> int:
    return len(next(iter(item.values())))


def _lowered(sample: Sample) -> Sample:
    return Sample(tuple(word.lower() for word in sample.words), sample.tags, sample.part)
