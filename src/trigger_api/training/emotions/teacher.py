"""Trained classifiers as teachers: their probabilities for a face count beside its label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import LABELS, SIDE, Faces
from trigger_api.runtimes.keras_loader import load

Teacher = Callable[[Faces], NDArray[np.float32]]
"""From faces to probabilities ``(n, 7)``."""

_BATCH = 100


def load_teachers(folders: Sequence[Path]) -> Teacher:
    """The mean prediction of the models in these folders.

    Raises:
        OSError: a file is missing.
    """
    models = [_compile(load(folder)) for folder in folders]

    def predict(faces: Faces) -> NDArray[np.float32]:
        batches = [tf.constant(faces[i : i + _BATCH, ..., None]) for i in range(0, len(faces), _BATCH)]
        means = [np.mean([model(batch).numpy() for model in models], axis=0) for batch in batches]
        return np.concatenate([*means, np.zeros((0, len(LABELS)), np.float32)])

    return predict


def _compile(model: Any) -> Callable[[Any], Any]:
    faces = tf.TensorSpec((None, SIDE, SIDE, 1), tf.uint8)
    return tf.function(lambda x: model({"image": x})["probabilities"], input_signature=[faces], autograph=False)  # type: ignore[no-any-return]
