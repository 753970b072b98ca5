"""Batches of faces for the emotion classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import tensorflow as tf
from keras import random
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import Split
from trigger_api.training.emotions.targets import TargetConfig, make_labels
from trigger_api.training.loop import BatchSampler, TrainingConfig


class FaceSampler(BatchSampler):
    """Every face once an epoch, small at first; augmentation is a function of TensorFlow."""

    varying = True

    def __init__(
        self,
        split: Split,
        config: TrainingConfig,
        target_config: TargetConfig,
        teacher_probs: NDArray[np.float32] | None = None,
    ) -> None:
        """``teacher_probs (n, 7)`` are what teachers predict for each face."""
        super().__init__(config, len(split.labels), seed=(2,))
        self._split = split
        self._target_config = target_config
        labels = make_labels(split.labels, target_config, teacher_probs)
        self._labels = np.concatenate([labels, split.votes], axis=1)
        self._seed_generator = random.SeedGenerator(0)
        self._lock = Lock()  # Keras reads ahead in a thread of its own
        self._augment = tf.function(self._make_targets, autograph=False)

    def batch(self, members: Sequence[int], step: int) -> tuple[dict[str, Any], Any]:
        """Make one batch: ``faces (n, side, side, 1)``, and targets ``(n, 7 + votes)``."""
        rows, progress = list(members), step / len(self.steps)
        config = self._target_config
        side = next(side for until, side in config.sides if progress < until or until == 1)
        with self._lock:
            self._seed_generator.state.assign([step, 0])
            late = progress >= config.late_phase
            faces, targets = self._augment(self._split.faces[rows], self._labels[rows], side, late)
        return {"faces": faces}, targets

    def _make_targets(self, faces: Any, labels: Any, side: int, late: bool) -> tuple[Any, Any]:
        return self._target_config.make_targets(faces, labels, self._seed_generator, side=side, late=late)
