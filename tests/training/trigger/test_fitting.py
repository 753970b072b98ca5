from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.training.trigger.corpus import NO_WORD, Bank
from trigger_api.training.trigger.fitting import Schedule, Share, fit, targets, warps
from trigger_api.training.trigger.network import Layer, Shape, training_network

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = Shape(bands=8, stem=(Layer(5, 2, 8), Layer(5, 2, 8)), body=(Layer(3, 1, 8, residual=True),))


def bank(count: int, *, said: bool) -> Bank:
    """Scenes of noise; where the word is said, the lower bands are loud for 0.3 s before its end."""
    rng = np.random.default_rng(count)
    features = rng.normal(0, 0.3, (count, 120, 8)).astype(np.float16)
    ends = rng.uniform(0.4, 0.9, count).astype(np.float32)
    for scene, end in zip(features, ends, strict=True):
        scene[int(100 * end) - 30 : int(100 * end), :4] += 2 * said
    return Bank(features, ends if said else np.full(count, NO_WORD, np.float32))


def train(folder: Path, epochs: int, *, stop: int | None = None) -> tuple[list[NDArray[np.float32]], list[float]]:
    parts: list[float] = []

    def done(part: float) -> None:
        parts.append(part)
        if stop is not None and sum(parts) > stop / epochs:
            raise KeyboardInterrupt

    shares = [Share(bank(30, said=True), 12), Share(bank(40, said=False), 12, hard=True)]
    network, losses = fit(shares, SHAPE, Schedule(epochs, 8, 1e-2, 0.9), 3, folder, done)
    return network.get_weights(), losses


def test_targets_follow_the_word() -> None:
    wanted, weights = targets(np.array([0.395, NO_WORD], np.float32), 20, 0.04)
    assert np.flatnonzero(wanted[0]).tolist() == [9, 10, 11, 12]
    assert not weights[0, 8]
    assert weights[0, 5]
    assert not wanted[1].any()
    assert weights[1].all()


def test_the_middle_warp_changes_nothing() -> None:
    matrices = warps(8, 5)
    np.testing.assert_allclose(matrices[2], np.eye(8), atol=1e-6)
    np.testing.assert_allclose(matrices.sum(axis=1), 1, atol=1e-5)


def test_training_learns(tmp_path: Path) -> None:
    _, losses = train(tmp_path, 4)
    assert losses[-1] < 0.6 * losses[0]


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, losses = train(tmp_path / "whole", 3)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", 3, stop=2)
    resumed, again = train(tmp_path / "killed", 3)
    assert again == pytest.approx(losses, rel=1e-4)
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_first_layers_can_stay_as_they_were(tmp_path: Path) -> None:
    start = training_network(SHAPE)
    start.save_weights(tmp_path / "start.weights.h5")
    shares = [Share(bank(30, said=True), 12), Share(bank(40, said=False), 12)]
    network, _ = fit(
        shares, SHAPE, Schedule(1, 3), 3, tmp_path, lambda part: None, tmp_path / "start.weights.h5", frozen=2
    )
    same = [
        np.array_equal(network.get_layer(f"conv{n}").get_weights()[0], start.get_layer(f"conv{n}").get_weights()[0])
        for n in range(3)
    ]
    assert same == [True, True, False]
