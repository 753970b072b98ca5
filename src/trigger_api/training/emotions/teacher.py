"""Classifiers that teach another: what they say of each face counts beside the face's label."""

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

_PART = 100  # faces asked about at a time


def asked(folders: Sequence[Path]) -> Teacher:
    """The word of the models in these folders, the mean of what they say.

    Raises:
        OSError: a file is missing.
    """
    looks = [_look(load(folder)) for folder in folders]

    def ask(faces: Faces) -> NDArray[np.float32]:
        parts = [tf.constant(faces[i : i + _PART, ..., None]) for i in range(0, len(faces), _PART)]
        told = [np.mean([look(x).numpy() for look in looks], axis=0) for x in parts]
        return np.concatenate([*told, np.zeros((0, len(LABELS)), np.float32)])

    return ask


def _look(model: Any) -> Callable[[Any], Any]:
    faces = tf.TensorSpec((None, SIDE, SIDE, 1), tf.uint8)
    return tf.function(lambda x: model({"image": x})["probabilities"], input_signature=[faces], autograph=False)  # type: ignore[no-any-return]
