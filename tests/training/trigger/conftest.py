from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.training.trigger.fitting import Schedule
from trigger_api.training.trigger.network import Layer, Shape
from trigger_api.training.trigger.recipe import Member, Recipe
from trigger_api.training.trigger.recordings import RATE

SMALL = Shape(bands=16, stem=(Layer(5, 2, 8), Layer(5, 2, 8)), body=(Layer(3, 1, 8, residual=True),))


@pytest.fixture
def recipe() -> Recipe:
    """Everything of a real run, in seconds."""
    members = Member(near=True), Member()
    return Recipe(
        12, 12, 12, 12, 4, test=6, batch=(4, 4, 4, 3, 1), schedule=Schedule(2, 3), shape=SMALL, members=members
    )


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Recordings of a word (a tone that rises), of other speech (tones that do not), and of noise."""
    rng, made = np.random.default_rng(0), {}
    for name, slope in (("word", 600), ("other", 0), ("noise", -1)):
        made[name] = tmp_path / name
        made[name].mkdir()
        for number in range(4):
            seconds = np.arange(RATE) / RATE
            hertz = rng.uniform(200, 400) + slope * seconds
            samples = 0.2 * np.sin(2 * np.pi * hertz * seconds) * (np.abs(seconds - 0.5) < 0.3)
            samples = samples if slope >= 0 else 0.1 * rng.standard_normal(2 * RATE)
            soundfile.write(
                made[name] / f"{number}_{name}.wav", samples + 1e-4 * rng.standard_normal(len(samples)), RATE
            )
    return made
