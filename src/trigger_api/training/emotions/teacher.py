"""A classifier that teaches another: what it says of each face counts beside the face's label."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trigger_api.evaluation.emotions.material import LABELS, Faces
from trigger_api.runtimes.reading import read

Teacher = Callable[[Faces], NDArray[np.float32]]
"""From faces to probabilities ``(n, 7)``."""

_PART = 100  # faces asked about at a time


def asked(folder: Path) -> Teacher:
    """A model folder's word.

    Raises:
        OSError: a file is missing.
    """
    model = read(folder)
    look = tf.function(lambda image: model({"image": image})["probabilities"], autograph=False)

    def ask(faces: Faces) -> NDArray[np.float32]:
        parts = [faces[i : i + _PART, ..., None] for i in range(0, len(faces), _PART)]
        told = [look(tf.constant(x)).numpy() for x in parts]
        return np.concatenate([*told, np.zeros((0, len(LABELS)), np.float32)])

    return ask


def targets(
    labels: NDArray[np.int64], smoothing: float, told: NDArray[np.float32] | None, believed: float
) -> NDArray[np.float32]:
    """What is to be learned of faces: their labels, ``smoothing`` unsure, and by ``believed`` what was told of them."""
    wanted = np.eye(len(LABELS), dtype=np.float32)[labels] * (1 - smoothing) + smoothing / len(LABELS)
    return wanted if told is None else (1 - believed) * wanted + believed * told
