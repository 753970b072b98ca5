"""What is asked of a network that learns from faces, on whatever Keras computes with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from keras import ops, random
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import LABELS, SIDE
from trigger_api.training.emotions.augmentation import Disturbance

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

    def lesson(
        self, faces: Any, wanted: Any, chance: random.SeedGenerator, *, side: int = SIDE, calm: bool = False
    ) -> tuple[Any, Any]:
        """Faces ``(n, side, side, 1)`` as they are shown, and what is then wanted of them ``(n, columns)``."""
        disturbed = (self.gently if calm else self.disturbance)(faces, side, chance)
        return _mixed(disturbed, wanted, chance, self.mixed / 4 if calm else self.mixed)


def targets(
    labels: NDArray[np.int64], smoothing: float, told: NDArray[np.float32] | None = None, believed: float = 0.0
) -> NDArray[np.float32]:
    """What is to be learned of faces: their labels, ``smoothing`` unsure, and by ``believed`` what was told of them."""
    wanted = np.eye(len(LABELS), dtype=np.float32)[labels] * (1 - smoothing) + smoothing / len(LABELS)
    return wanted if told is None else (1 - believed) * wanted + believed * told


def loss(scores: Any, wanted: Any, weights: Any = 1.0) -> Any:
    """The weighted mean cross-entropy of the labels and, half as much, of the votes of those that were voted on."""
    count = len(LABELS)
    each = _missed(scores[:, :count], wanted[:, :count])
    columns = wanted.shape[1] - count
    if columns:
        each += 0.5 * _missed(scores[:, count : count + columns], wanted[:, count:])
    return ops.sum(each * weights) / ops.sum(ops.ones_like(each) * weights)


def _missed(scores: Any, wanted: Any) -> Any:
    return -ops.sum(ops.log_softmax(scores) * wanted, axis=1)


def _mixed(faces: Any, wanted: Any, chance: random.SeedGenerator, share: float) -> tuple[Any, Any]:
    """Through some faces another one shines, mostly a little."""
    count = ops.shape(faces)[0]
    chosen = random.uniform((count,), seed=chance) < share
    weak = 0.5 * random.uniform((count,), seed=chance) ** 3
    weak = ops.where(chosen, weak, 0.0)
    other = weak[:, None, None, None]
    faces = faces * (1 - other) + ops.roll(faces, 1, 0) * other
    return faces, wanted * (1 - weak[:, None]) + ops.roll(wanted, 1, 0) * weak[:, None]
