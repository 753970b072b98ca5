from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.training.trigger import curves
from trigger_api.training.trigger.calibration import Cost, calibrate, cheapest
from trigger_api.training.trigger.corpus import NO_WORD, Bank


def loudest(features: NDArray[np.float32], *, training: bool) -> NDArray[np.float32]:
    """A stand-in for a network: the first band is the logit, every fourth frame."""
    assert not training
    return np.asarray(features[:, 3::4, 0])


def bank(logit: float, end: float) -> Bank:
    features = np.full((10, 240, 2), -5, np.float16)
    features[:, 120:136] = logit
    return Bank(features, np.full(10, end, np.float32))


def test_the_threshold_is_the_lowest_that_is_quiet_enough() -> None:
    decision, costs = calibrate(loudest, bank(6, 1.2), bank(2.1, NO_WORD), 40)
    assert decision.threshold == pytest.approx(1 / (1 + np.exp(-2.25)), abs=1e-3)
    assert set(decision.sensitivities.values()) == {decision.threshold}
    assert decision.delay_ms == 40  # the first score that is high enough decides
    assert costs[0].false_per_hour == pytest.approx(10 / (24 / 3600))
    assert costs[-1].false_per_hour == 0


def test_thresholds_are_not_below_the_least() -> None:
    decision, _ = calibrate(loudest, bank(6, 1.2), bank(-5, NO_WORD), 40, {"low": 0.9, "medium": 0.8})
    assert decision.threshold == 0.8
    assert decision.sensitivities == {"low": 0.9, "medium": 0.8, "high": 0.5}


def test_sensitivities_are_what_false_accepts_allow() -> None:
    costs = [Cost(0.5, 20, 0), Cost(0.6, 5, 0), Cost(0.7, 6, 0), Cost(0.8, 2, 0), Cost(0.9, 2, 0)]
    assert [cheapest(costs, allowed) for allowed in (30, 12, 5, 1)] == [0.5, 0.6, 0.8, 0.9]


def test_words_that_are_never_heard_are_missed() -> None:
    decision, costs = calibrate(loudest, bank(-5, 1.2), bank(-5, NO_WORD), 40)
    assert decision.threshold == 0.5
    assert decision.delay_ms == 0
    assert costs[-1].missed == 1


def test_curves_are_small_pictures(tmp_path: Path) -> None:
    curves.learning([[1.0, 0.5, 0.2], [0.9, 0.4, 0.3]], tmp_path / "learning.png")
    curves.tradeoff([Cost(0.5, 3.0, 0.0), Cost(0.9, 0.0, 0.1)], tmp_path / "tradeoff.png")
    for name in ("learning.png", "tradeoff.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / name).stat().st_size < 60_000
