"""A detector whose scores are how loud each 80 ms of a recording is."""

from __future__ import annotations

import numpy as np

from trigger_api.datasets.speech import RATE, Samples
from trigger_api.evaluation.trigger.detector import Detector, Scores
from trigger_api.model_card import Decision, ModelCard, TensorSpec

STEP = 1_280
SENSITIVITIES = {"low": 0.8, "high": 0.3}


def card(**decision: object) -> ModelCard:
    chosen = {"threshold": 0.5, "refractory_ms": 400, "sensitivities": SENSITIVITIES, **decision}
    return ModelCard(
        task="trigger",
        name="beep",
        version="1",
        labels=("beep",),
        inputs=(TensorSpec(name="embeddings", shape=(-1, 96)),),
        outputs=(TensorSpec(name="scores", shape=(-1,)),),
        sequence_lengths=(1,),
        frame_ms=80,
        backbone="speech-embedding",
        decision=Decision.model_validate(chosen),
    )


def loudness(samples: Samples) -> Scores:
    padded = np.pad(samples, (0, -len(samples) % STEP + RATE // 2))
    return np.asarray(np.abs(padded[: len(padded) // STEP * STEP]).reshape(-1, STEP).max(axis=1), np.float32)


def detector(**decision: object) -> Detector:
    return Detector(card(**decision), loudness)


def sound(*beeps: tuple[float, float], total: float = 4.0) -> Samples:
    """Beeps of 0.16 s that begin at a time and are so loud, over low noise."""
    samples = 1e-3 * np.random.default_rng(0).standard_normal(int(total * RATE))
    for start, loud in beeps:
        times = np.arange(2 * STEP)
        first = round(start * RATE)
        samples[first : first + len(times)] += loud * np.sin(times * np.pi / 4)
    return np.asarray(samples, np.float32)
