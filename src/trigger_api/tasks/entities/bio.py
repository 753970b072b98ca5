"""BIO tags: which sequences are valid, the best valid one for a network's scores, and the entities in it.

``B-LOC`` begins a place, ``I-LOC`` continues it, ``O`` is outside; ``I-LOC`` after anything else is invalid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTSIDE = "O"
TYPES = ("PER", "ORG", "LOC", "MISC")
# The outside comes first: it stands before the first word of a sentence.
LABELS = (OUTSIDE, *(f"{prefix}-{kind}" for kind in TYPES for prefix in "BI"))

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Words ``first`` to ``last`` (exclusive) form one entity of this ``kind``."""

    first: int
    last: int
    kind: str


def is_valid_transition(label: str, before: str) -> bool:
    """Whether ``label`` may come right after ``before``, which is ``O`` for the first word."""
    return not label.startswith("I-") or before[1:] == label[1:]


def log_probabilities(scores: Floats) -> Floats:
    """Log-softmax over the last axis, stable for scores of any size."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), np.float32)


def viterbi_decode(scores: Floats, labels: Sequence[str]) -> list[int]:
    """The valid sequence of label indices with the largest sum of ``scores``, shape ``(words, labels)``."""
    return best_path(scores[:, None, :] + transition_scores(labels))


def transition_scores(labels: Sequence[str]) -> Floats:
    """The score of a transition from one label (row) to another (column): 0 if valid, minus infinity otherwise."""
    valid = [[is_valid_transition(after, before) for after in labels] for before in labels]
    return np.where(valid, 0, -np.inf).astype(np.float32)


def best_path(steps: Floats) -> list[int]:
    """The Viterbi algorithm.

    Args:
        steps: scores of the transitions at each word, ``(words, before, after)``; label 0 precedes the first word.

    Returns:
        The label index of each word on the path with the largest sum.
    """
    if not len(steps):
        return []
    total = steps[0, 0]
    back = np.zeros(steps.shape[:2], np.intp)
    for word, step in enumerate(steps[1:], start=1):
        paths = total[:, None] + step
        back[word] = paths.argmax(axis=0)
        total = paths.max(axis=0)
    return _trace_back(back, int(total.argmax()))


def _trace_back(back: NDArray[np.intp], last: int) -> list[int]:
    path = [last]
    for row in back[:0:-1]:
        path.append(int(row[path[-1]]))
    return path[::-1]


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities in a tag sequence by strict IOB2: only ``B-`` begins one, only ``I-`` of its kind continues it."""
    found: list[Span] = []
    first: int | None = None
    for index, tag in enumerate([*tags, OUTSIDE]):
        if first is not None and tag != f"I-{tags[first][2:]}":
            found.append(Span(first, index, tags[first][2:]))
            first = None
        if tag.startswith("B-"):
            first = index
    return found
