"""Stripes in place of faces, and a network and a training configuration small enough for them."""

from __future__ import annotations

import numpy as np

from trigger_api.datasets.fer2013 import Split
from trigger_api.training.emotions import inception_resnet
from trigger_api.training.emotions.augmentation import Augmentation
from trigger_api.training.emotions.targets import TargetConfig

MODEL_CONFIG = inception_resnet.ModelConfig(blocks=(0, 1, 0), stem=(8, 8), widths=(4, 8, 8), inner=4)
EASY = TargetConfig(
    label_smoothing=0, mixup=0.2, sides=((1.0, 48),), augmentation=Augmentation(rotation=0, shift=0, covered=0)
)


def split(count: int) -> Split:
    """In place of faces: broad and narrow stripes, horizontal and vertical, and noise; half of them have no votes."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 7
    places = np.arange(48) + random.uniform(0, 48, (count, 1))
    waves = np.sin(2 * np.pi * places / np.array([4, 8, 16, 4, 8, 16, 1])[labels, None])
    stripes = np.where((labels < 3)[:, None, None], waves[:, :, None], waves[:, None])
    faces = 128 + 80 * stripes + random.integers(0, 40, (count, 48, 48))
    votes = np.zeros((count, 10), np.float32)
    votes[: count // 2, 1] = 1
    return Split(faces.astype(np.uint8), labels, votes)
