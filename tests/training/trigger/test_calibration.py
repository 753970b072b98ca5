from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.training.trigger import calibration, plots
from trigger_api.training.trigger.scenes import NO_WORD, Bank


def test_peaks_are_a_refractory_time_apart() -> None:
    logits = np.full(50, -9.0)
    logits[[10, 12, 40]] = 3, 5, 1
    assert calibration.peaks(logits)[:2].tolist() == [5, 1]
    assert len(calibration.peaks(np.full(12, 1.0))) == 1


def test_an_exponential_tail_is_found_again() -> None:
    rng = np.random.default_rng(0)
    highest = -3 + rng.exponential(1.5, 4_000)
    fitted = calibration.tail(highest, hours=2)
    assert fitted.rate == pytest.approx(2_000 * np.exp(-(fitted.start + 3) / 1.5), rel=0.5)
    assert fitted.scale == pytest.approx(1.5, rel=0.5)


def test_fewer_false_accepts_need_a_higher_threshold() -> None:
    highest = np.random.default_rng(1).normal(-4, 1.5, 500)
    levels = calibration.thresholds(highest, hours=1)
    assert levels["low"] > levels["medium"] > levels["high"]


def test_thresholds_stay_within_reason() -> None:
    assert calibration.thresholds(np.full(40, -12.0), hours=1) == calibration.LEAST
    assert max(calibration.thresholds(np.linspace(30, 40, 40), hours=1).values()) == 0.9999


def test_one_peak_is_enough_to_answer() -> None:
    assert set(calibration.thresholds(np.array([-1.0]), hours=0.1)) == set(calibration.RATES)


class Hears:
    """A stand-in for a head without context: its score is the embedding's first number."""

    def __call__(self, inputs: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        return {"scores": inputs["embeddings"][..., 0]}


def test_the_delay_is_the_median_lag_of_the_words() -> None:
    embeddings = np.zeros((3, 30, 96), np.float16)
    embeddings[:, 13, 0] = 1  # decided at 1.12 s
    said = Bank(embeddings, np.array([1.0, 1.04, NO_WORD], np.float32))
    decided = calibration.decision(
        {"low": 0.9, "medium": 0.8, "high": 0.5}, Hears(), said, np.zeros((0, 96), np.float32)
    )
    assert decided.delay_ms == 100
    assert decided.threshold == 0.8
    assert decided.sensitivities["low"] == 0.9


def test_pictures_are_small(tmp_path: Path) -> None:
    plots.loss([1.0, 0.5, 0.2], tmp_path / "learning.png")
    plots.false_accepts(np.linspace(-5, 3, 50), 1.0, {"medium": 0.5}, tmp_path / "tradeoff.png")
    for name in ("learning.png", "tradeoff.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / name).stat().st_size < 60_000
