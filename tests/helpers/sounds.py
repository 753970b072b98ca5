"""Sounds that tests make themselves."""

from __future__ import annotations

import numpy as np

from trigger_api.datasets.speech import RATE, Samples


def voiced(seconds: float, peak: float = 0.3, around: float = 0.5) -> Samples:
    """A voice-like buzz with near silence around it."""
    rng = np.random.default_rng(0)
    times = np.arange(int(seconds * RATE)) / RATE
    buzz = np.sign(np.sin(2 * np.pi * 120 * times)) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * times))
    quiet = np.zeros(int(around * RATE))
    sound = np.concatenate([quiet, buzz / np.abs(buzz).max() * peak, quiet])
    return (sound + rng.normal(0, peak / 5_000, len(sound))).astype(np.float32)
