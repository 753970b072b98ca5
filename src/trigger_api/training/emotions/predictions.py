"""What a network that learns says of faces, and how often it is right."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import Faces, Split
from trigger_api.evaluation.emotions.calibration import softmax
from trigger_api.training.emotions.network import answered

_PART = 500  # faces asked about at a time


def looks(network: keras.Model, faces: Faces, votes: float = 0.0) -> NDArray[np.float32]:
    """Scores of the faces and of their mirror images, ``(2, n, 7)``; see ``answered``."""
    return np.stack([_scores(network, faces, votes), _scores(network, faces[:, :, ::-1], votes)])


def figures(seen: NDArray[np.float32], split: Split) -> str:
    """How often ``looks`` are right."""
    once, twice = softmax(seen[0]), softmax(seen).mean(axis=0)
    right = [float((answer.argmax(axis=1) == split.labels).mean()) for answer in (once, twice)]
    return f"held out: {right[0]:.2%} right, {right[1]:.2%} with the mirror image"


def _scores(network: keras.Model, faces: Faces, votes: float) -> NDArray[np.float32]:
    grey = np.asarray(faces[..., None], np.float32)
    scores: NDArray[np.float32] = network.predict({"faces": grey}, batch_size=_PART, verbose=0)["scores"]
    return answered(scores, votes)
