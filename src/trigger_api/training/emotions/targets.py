"""What emotion networks are trained to predict, on any backend of Keras."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from keras import ops, random
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import LABELS, SIDE
from trigger_api.training.emotions.augmentation import Augmentation

SIDES = ((0.4, 32), (0.7, 40), (1.0, SIDE))
"""Progressive resizing: on small faces a network learns twice as fast."""
_VOTES = 0.5  # weight of the votes' loss against the labels'


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """How faces are augmented, and what is then wanted of the network.

    Attributes:
        label_smoothing: probability that is spread over all labels.
        mixup: share of the faces that another face is blended into.
        distillation_weight: weight of the teachers' probabilities, where there are any, against the labels'.
        augmentation: of faces.
        late_augmentation: from the share ``late_phase`` of the training on, with hardly any mixup.
        late_phase: when it begins.
        sides: until which share of the training faces are how large, pixels.
    """

    label_smoothing: float = 0.06
    mixup: float = 0.4
    distillation_weight: float = 0.6
    augmentation: Augmentation = field(default_factory=Augmentation)
    late_augmentation: Augmentation = field(
        default_factory=partial(Augmentation, 0.14, 0.11, 0.05, 0.06, 0.18, 5.0, 0.05, 0.1)
    )
    late_phase: float = 0.8
    sides: tuple[tuple[float, int], ...] = SIDES

    def make_targets(
        self, faces: Any, labels: Any, seed: random.SeedGenerator, *, side: int = SIDE, late: bool = False
    ) -> tuple[Any, Any]:
        """Augmented faces ``(n, side, side, 1)``, and their targets ``(n, columns)``."""
        augmentation = self.late_augmentation if late else self.augmentation
        return _mixup(augmentation(faces, side, seed), labels, seed, self.mixup / 4 if late else self.mixup)


def make_labels(
    labels: NDArray[np.int64], config: TargetConfig, teacher_probs: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Probabilities ``(n, 7)``: smoothed labels, mixed with the teachers' probabilities if there are any."""
    smoothing, weight = config.label_smoothing, config.distillation_weight
    smoothed = np.eye(len(LABELS), dtype=np.float32)[labels] * (1 - smoothing) + smoothing / len(LABELS)
    return smoothed if teacher_probs is None else (1 - weight) * smoothed + weight * teacher_probs


def loss(targets: Any, scores: Any) -> Any:
    """The mean cross-entropy of the labels and, weighing half as much, of the votes on faces that have any."""
    count = len(LABELS)
    each = _cross_entropy(targets[:, :count], scores[:, :count])
    if scores.shape[1] > count:
        each += _VOTES * _cross_entropy(targets[:, count:], scores[:, count:])
    return ops.mean(each)


def _cross_entropy(targets: Any, scores: Any) -> Any:
    return -ops.sum(ops.log_softmax(scores) * targets, axis=1)


def _mixup(faces: Any, targets: Any, seed: random.SeedGenerator, share: float) -> tuple[Any, Any]:
    """Blend another face into some, mostly a little."""
    count = ops.shape(faces)[0]
    chosen = random.uniform((count,), seed=seed) < share
    blend = 0.5 * random.uniform((count,), seed=seed) ** 3
    blend = ops.where(chosen, blend, 0.0)
    pixels = blend[:, None, None, None]
    faces = faces * (1 - pixels) + ops.roll(faces, 1, 0) * pixels
    return faces, targets * (1 - blend[:, None]) + ops.roll(targets, 1, 0) * blend[:, None]
