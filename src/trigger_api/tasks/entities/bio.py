"""BIO tags: which sequences are legal, the best legal one for a network's scores, and the spans it names.

``B-LOC`` begins a place, ``I-LOC`` goes on with it, ``O`` is outside; ``I-LOC`` after anything else is illegal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTSIDE = "O"
TYPES = ("PER", "ORG", "LOC", "MISC")
# The outside comes first: it is what stands before a sentence's first word.
LABELS = (OUTSIDE, *(f"{part}-{kind}" for kind in TYPES for part in "BI"))

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Words ``first`` to ``last`` (exclusive) form one entity of this ``kind``."""

    first: int
    last: int
    kind: str


def follows(label: str, before: str) -> bool:
    """Whether ``label`` may come right after ``before``; before the first word comes ``O``."""
    return not label.startswith("I-") or before[1:] == label[1:]


def log_probabilities(scores: Floats) -> Floats:
    """Log-softmax over the last axis, whatever the scores' scale."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), np.float32)


def best_legal(scores: Floats, labels: Sequence[str]) -> list[int]:
    """Find the legal sequence of label indices with the largest sum of ``scores`` (words, labels)."""
    return best_path(scores[:, None, :] + penalties(labels))


def penalties(labels: Sequence[str]) -> Floats:
    """What stepping from one label (row) to another (column) costs: nothing, or everything."""
    legal = [[follows(after, before) for after in labels] for before in labels]
    return np.where(legal, 0, -np.inf).astype(np.float32)


def best_path(steps: Floats) -> list[int]:
    """Viterbi over the scores of stepping from label to label (words, before, after), from label 0 before the first."""
    if not len(steps):
        return []
    total = steps[0, 0]
    back = np.zeros(steps.shape[:2], np.intp)
    for word, step in enumerate(steps[1:], start=1):
        paths = total[:, None] + step
        back[word] = paths.argmax(axis=0)
        total = paths.max(axis=0)
    return _trace(back, int(total.argmax()))


def _trace(back: NDArray[np.intp], last: int) -> list[int]:
    path = [last]
    for row in back[:0:-1]:
        path.append(int(row[path[-1]]))
    return path[::-1]


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities of a tag sequence by strict IOB2: only ``B-`` begins one, only ``I-`` of its kind goes on."""
    found: list[Span] = []
    first: int | None = None
    for index, tag in enumerate([*tags, OUTSIDE]):
        if first is not None and tag != f"I-{tags[first][2:]}":
            found.append(Span(first, index, tags[first][2:]))
            first = None
        if tag.startswith("B-"):
            first = index
    return found
