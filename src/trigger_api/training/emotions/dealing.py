"""What emotion networks learn from, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trigger_api.evaluation.emotions.material import LABELS, SIDE, Split
from trigger_api.training.emotions.augment import Disturbance
from trigger_api.training.emotions.teacher import targets

SIDES = ((0.4, 32), (0.7, 40), (1.0, SIDE))
"""Small faces at first: on them a network learns twice as fast."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """What is asked for, besides the labels.

    Attributes:
        smoothing: how unsure the labels are.
        mixed: share of faces that another one shines through.
        believed: how much a teacher's word counts, where there is one, against the labels'.
        disturbance: how faces are changed.
        gently: how they are changed, hardly any mixed, from the share ``calm`` of the training on.
        sides: up to which share of the training faces are seen how large, in pixels.
    """

    smoothing: float = 0.06
    mixed: float = 0.4
    believed: float = 0.6
    disturbance: Disturbance = field(default_factory=Disturbance)
    gently: Disturbance = field(default_factory=partial(Disturbance, 0.14, 0.11, 0.05, 0.06, 0.18, 5.0, 0.05, 0.1))
    calm: float = 0.8
    sides: tuple[tuple[float, int], ...] = SIDES


class Dealer:
    """Deals every face once an epoch. A step's number is its seed."""

    def __init__(
        self, split: Split, size: int, epochs: int, teaching: Teaching, told: NDArray[np.float32] | None = None
    ) -> None:
        """``told`` is what a teacher says of each face, ``(n, 7)``."""
        self._split = split
        self._size = size
        self._steps = epochs * (len(split.labels) // size)
        self._teaching = teaching
        labels = targets(split.labels, teaching.smoothing, told, teaching.believed)
        self._wanted = np.concatenate([labels, split.votes], axis=1)
        self._make = tf.function(self._made, autograph=False)

    @property
    def last(self) -> int:
        """The number of the last step."""
        return self._steps - 1

    def epoch(self, number: int) -> list[list[int]]:
        """Shuffle the faces into batches; the few left over wait for another epoch."""
        order = np.random.default_rng((number, 2)).permutation(len(self._split.labels))
        starts = range(0, len(order) - self._size + 1, self._size)
        return [order[start : start + self._size].tolist() for start in starts]

    def batch(self, members: Sequence[int], step: int) -> tuple[Mapping[str, Any], Any, NDArray[np.float32]]:
        """Make one batch: ``faces (n, side, side, 1)``, targets ``(n, 7 + votes)``, and weights that are all 1."""
        rows = list(members)
        side = next(side for until, side in self._teaching.sides if step < until * self._steps or until == 1)
        seed = tf.constant([step, 3])
        calm = step >= self._teaching.calm * self._steps
        faces, wanted = self._make(self._split.faces[rows], self._wanted[rows], seed, side, calm)
        return {"faces": faces}, wanted, np.ones(len(rows), np.float32)

    def _made(self, faces: Any, wanted: Any, seed: Any, side: int, calm: bool) -> tuple[Any, Any]:
        teaching = self._teaching
        disturbed = (teaching.gently if calm else teaching.disturbance)(faces, side, seed)
        return _mixed(disturbed, wanted, seed, teaching.mixed / 4 if calm else teaching.mixed)


def _mixed(faces: Any, wanted: Any, seed: Any, share: float) -> tuple[Any, Any]:
    """Through some faces another one shines, mostly a little."""
    count = tf.shape(faces)[:1]
    chosen = tf.random.stateless_uniform(count, seed + tf.constant([0, 11])) < share
    weak = 0.5 * tf.random.stateless_uniform(count, seed + tf.constant([0, 12])) ** 3
    weak = tf.where(chosen, weak, 0.0)
    other = weak[:, None, None, None]
    faces = faces * (1 - other) + tf.roll(faces, 1, 0) * other
    return faces, wanted * (1 - weak[:, None]) + tf.roll(wanted, 1, 0) * weak[:, None]


def loss(scores: Any, wanted: Any, weights: Any) -> Any:
    """The weighted mean cross-entropy of the labels and, half as much, of the votes of those that were voted on."""
    count = len(LABELS)
    labels = tf.nn.softmax_cross_entropy_with_logits(wanted[:, :count], scores[:, :count])
    columns = wanted.shape[1] - count
    votes = 0.0
    if columns:
        votes = -tf.reduce_sum(tf.nn.log_softmax(scores[:, count : count + columns]) * wanted[:, count:], axis=1)
    return tf.reduce_sum((labels + 0.5 * votes) * weights) / tf.reduce_sum(weights)
