from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.datasets.speech import RATE
from trigger_api.training.trigger.fit import Schedule
from trigger_api.training.trigger.head import Shape
from trigger_api.training.trigger.recipe import Recipe


@pytest.fixture
def recipe() -> Recipe:
    """Everything of a real run, in seconds."""
    schedule = Schedule(epochs=2, steps=4, positives=8, random=8, hard=8)
    return Recipe(2, 8, 8, 8, 8, 8, 4, shape=Shape(width=8, members=2), schedule=schedule)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Recordings of a word (a tone that rises), of other speech (tones that do not), and of noise."""
    rng, made = np.random.default_rng(0), {}
    for name, slope in (("word", 600), ("other", 0), ("noise", -1)):
        made[name] = tmp_path / name
        made[name].mkdir()
        for number in range(12 if name == "other" else 4):
            seconds = np.arange(RATE) / RATE
            hertz = rng.uniform(200, 400) + slope * seconds
            samples = 0.2 * np.sin(2 * np.pi * hertz * seconds) * (np.abs(seconds - 0.5) < 0.3)
            samples = samples if slope >= 0 else 0.1 * rng.standard_normal(2 * RATE)
            soundfile.write(
                made[name] / f"{number}_{name}.wav", samples + 1e-4 * rng.standard_normal(len(samples)), RATE
            )
    return made
