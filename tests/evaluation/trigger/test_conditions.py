from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.tiny_word import sound
from trigger_api.datasets.speech import RATE
from trigger_api.evaluation.trigger.conditions import condition


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(2 * RATE), RATE)
    soundfile.write(tmp_path / "short.wav", np.ones(100), RATE)
    (tmp_path / "broken.wav").touch()
    return tmp_path


def test_quiet_surroundings_change_nothing() -> None:
    assert condition([], 10) is None


@pytest.mark.parametrize("reverb", [False, True])
def test_noise_comes_at_the_ratio_asked_for(noise: Path, reverb: bool) -> None:
    clean, levels = sound((1.04, 0.9)), []
    for snr_db in (30, 10):
        change = condition([noise], snr_db, reverb=reverb)
        assert change is not None
        changed = change(clean, np.random.default_rng(1))
        assert len(changed) == len(clean)
        levels.append(float(changed[-RATE:].std()))
    assert levels[1] == pytest.approx(10 * levels[0], rel=0.05)


def test_a_room_by_itself_is_a_condition() -> None:
    change = condition([], 10, reverb=True)
    assert change is not None
    clean = sound((1.04, 0.9))
    assert np.abs(change(clean, np.random.default_rng(1)) - clean).max() > 0.01


@pytest.mark.parametrize("snr_db", [float("nan"), float("inf")])
def test_a_ratio_is_a_number(snr_db: float) -> None:
    with pytest.raises(ValueError, match="finite number"):
        condition([], snr_db)


def test_noise_that_cannot_be_used_is_refused(noise: Path) -> None:
    with pytest.raises(ValueError, match="no noise to mix in"):
        condition([noise / "short.wav", noise / "broken.wav"], 10)
