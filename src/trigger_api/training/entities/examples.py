"""Sentences as the encoder's training examples, and how they are disturbed so that it learns no habit of the corpus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from trigger_api.datasets.conll import Sample
from trigger_api.tasks.entities.bio import LABELS, OUTSIDE
from trigger_api.tasks.entities.casing import recased_shapes
from trigger_api.tasks.entities.gazetteers import Gazetteers
from trigger_api.tasks.entities.wordpiece import BEGIN, END, SPECIALS, UNKNOWN, Wordpieces
from trigger_api.training.entities.batches import Example
from trigger_api.training.entities.network import STYLE

# A word's first piece speaks for it when tags are read; what follows only helps to learn.
_REST = 0.3
_UNKNOWN = SPECIALS.index(UNKNOWN)
_SMALL, _CAPITALS = recased_shapes(upper=False), recased_shapes(upper=True)


def examples(samples: Iterable[Sample], wordpieces: Wordpieces, gazetteers: Gazetteers, longest: int) -> list[Example]:
    """Turn sentences into examples; what does not fit in ``longest`` pieces is cut off."""
    return [_example(sample, wordpieces, gazetteers, longest - 2) for sample in samples]


def _example(sample: Sample, wordpieces: Wordpieces, gazetteers: Gazetteers, longest: int) -> Example:
    pieces = wordpieces.split(sample.words)
    owners, firsts = pieces.words[:longest], np.diff(pieces.words, prepend=-1)[:longest] > 0
    tags = [LABELS.index(tag) for tag in sample.tags]
    inside = [LABELS.index(tag if tag == OUTSIDE else f"I-{tag[2:]}") for tag in sample.tags]
    labels = np.where(firsts, np.take(tags, owners), np.take(inside, owners))
    begin, end = wordpieces.row[BEGIN], wordpieces.row[END]
    inputs = {
        "pieces": np.pad(pieces.rows[:longest], 1, constant_values=(begin, end)),
        "shapes": np.pad(pieces.shapes[:longest], 1),
        "gazetteers": np.pad(gazetteers.match(sample.words)[owners], ((1, 1), (0, 0))),
    }
    weights = np.where(firsts, 1, _REST).astype(np.float32)
    return Example(sample.part, inputs, np.pad(labels.astype(np.int32), 1), np.pad(weights, 1))


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Shares of sentences in small letters, in capitals, without lists, with their corpus told; of pieces hidden."""

    lower: float = 0.1
    upper: float = 0.03
    listless: float = 0.15
    styled: float = 0.3
    hidden: float = 0.04

    def __call__(self, example: Example, random: np.random.Generator) -> Example:
        """Disturb one example of the encoder."""
        case, lists, told = random.random(3)
        pieces, shapes, marks = (example.inputs[name] for name in ("pieces", "shapes", "gazetteers"))
        hidden = random.random(len(pieces)) < self.hidden
        hidden[[0, -1]] = False
        pieces = np.where(hidden, _UNKNOWN, pieces)
        if case < self.lower + self.upper:
            shapes = (_CAPITALS if case < self.upper else _SMALL)[shapes]
        if told < self.styled:
            shapes = np.concatenate([[STYLE + example.part], shapes[1:]]).astype(np.int32)
        if lists < self.listless:
            marks = np.zeros_like(marks)
        return replace(example, inputs={"pieces": pieces, "shapes": shapes, "gazetteers": marks})
