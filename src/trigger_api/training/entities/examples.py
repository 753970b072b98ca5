"""Sentences as training examples of the encoder, and their augmentation against overfitting to a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from trigger_api.tasks.entities.bio import LABELS, OUTSIDE
from trigger_api.tasks.entities.casing import recased_shapes
from trigger_api.tasks.entities.compounds import all_parts
from trigger_api.tasks.entities.gazetteers import Gazetteers
from trigger_api.tasks.entities.wordpiece import BEGIN, END, SPECIALS, UNKNOWN, Wordpieces
from trigger_api.training.entities.compounds import Tagged
from trigger_api.training.entities.network import STYLE
from trigger_api.training.entities.sampler import Example

# A part's tag is read at its first piece; the others only help in training.
_REST = 0.3
_UNKNOWN = SPECIALS.index(UNKNOWN)
_SMALL, _CAPITALS = recased_shapes(upper=False), recased_shapes(upper=True)


def examples(
    sentences: Iterable[Tagged], wordpieces: Wordpieces, gazetteers: Gazetteers, longest: int
) -> list[Example]:
    """Turn sentences into examples, truncated to ``longest`` pieces."""
    return [_example(sentence, wordpieces, gazetteers, longest - 2) for sentence in sentences]


def _example(sentence: Tagged, wordpieces: Wordpieces, gazetteers: Gazetteers, longest: int) -> Example:
    pieces = wordpieces.split(sentence.words)
    owners, firsts = pieces.parts[:longest], np.diff(pieces.parts, prepend=-1)[:longest] > 0
    tags = [LABELS.index(tag) for tag in sentence.tags]
    inside = [LABELS.index(tag if tag == OUTSIDE else f"I-{tag[2:]}") for tag in sentence.tags]
    labels = np.where(firsts, np.take(tags, owners), np.take(inside, owners))
    begin, end = wordpieces.row[BEGIN], wordpieces.row[END]
    inputs = {
        "pieces": np.pad(pieces.rows[:longest], 1, constant_values=(begin, end)),
        "shapes": np.pad(pieces.shapes[:longest], 1),
        "gazetteers": np.pad(gazetteers.match(all_parts(sentence.words))[owners], ((1, 1), (0, 0))),
    }
    weights = np.where(firsts, 1, _REST) * ~np.isin(owners, list(sentence.unsure))
    return Example(sentence.part, inputs, np.pad(labels.astype(np.int32), 1), np.pad(weights.astype(np.float32), 1))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Shares of sentences in lower case, in upper case, without gazetteers, with their style; of masked pieces."""

    lower: float = 0.1
    upper: float = 0.03
    without_gazetteers: float = 0.15
    styled: float = 0.3
    masked: float = 0.04

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Augment one example."""
        case, gazetteers, style = rng.random(3)
        pieces, shapes, marks = (example.inputs[name] for name in ("pieces", "shapes", "gazetteers"))
        masked = rng.random(len(pieces)) < self.masked
        masked[[0, -1]] = False
        pieces = np.where(masked, _UNKNOWN, pieces)
        if case < self.lower + self.upper:
            shapes = (_CAPITALS if case < self.upper else _SMALL)[shapes]
        if style < self.styled:
            shapes = np.concatenate([[STYLE + example.part], shapes[1:]]).astype(np.int32)
        if gazetteers < self.without_gazetteers:
            marks = np.zeros_like(marks)
        return replace(example, inputs={"pieces": pieces, "shapes": shapes, "gazetteers": marks})
