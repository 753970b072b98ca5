"""What emotion networks learn from, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import random
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import Split
from trigger_api.training.emotions.targets import Teaching, targets


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
        self._chance = random.SeedGenerator(0)
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
        self._chance.state.assign([step, 0])
        calm = step >= self._teaching.calm * self._steps
        faces, wanted = self._make(self._split.faces[rows], self._wanted[rows], side, calm)
        return {"faces": faces}, wanted, np.ones(len(rows), np.float32)

    def _made(self, faces: Any, wanted: Any, side: int, calm: bool) -> tuple[Any, Any]:
        return self._teaching.lesson(faces, wanted, self._chance, side=side, calm=calm)
