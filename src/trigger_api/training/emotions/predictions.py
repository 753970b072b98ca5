"""What an emotion network predicts while it is trained, and how often it is right."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from trigger_api.datasets.fer2013 import Faces, Split
from trigger_api.training.emotions.network import combined_logits

_BATCH = 500


def tta_logits(model: keras.Model, faces: Faces, votes: float = 0.0) -> NDArray[np.float32]:
    """Logits of the faces and of their mirror images, ``(2, n, 7)``; for ``votes`` see ``combined_logits``."""
    return np.stack([_logits(model, faces, votes), _logits(model, faces[:, :, ::-1], votes)])


def describe_accuracy(logits: NDArray[np.float32], split: Split) -> str:
    """The accuracy that ``tta_logits`` come to, without and with the mirror images."""
    probabilities = softmax(logits[0], axis=-1), softmax(logits, axis=-1).mean(axis=0)
    accuracy = [float((each.argmax(axis=1) == split.labels).mean()) for each in probabilities]
    return f"held out: {accuracy[0]:.2%} right, {accuracy[1]:.2%} with mirror images"


def _logits(model: keras.Model, faces: Faces, votes: float) -> NDArray[np.float32]:
    grey = np.asarray(faces[..., None], np.float32)
    scores: NDArray[np.float32] = model.predict({"faces": grey}, batch_size=_BATCH, verbose=0)["scores"]
    return combined_logits(scores, votes)
