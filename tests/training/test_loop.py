from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.training.loop import BatchSampler, TrainingConfig, lr_schedule, train

CONFIG = TrainingConfig(batch_size=4, epochs=4, learning_rate=0.1, ema=0.9)


class LineSampler(BatchSampler):
    """Points of a line, whose number differs from batch to batch."""

    varying = True

    def batch(self, members: Sequence[int], step: int) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
        length = 2 + step % 3
        x = np.repeat(np.array(members)[:, None, None] / 12, length, axis=1)
        return {"x": np.asarray(x, np.float32)}, np.asarray(3 * x + 1, np.float32)


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((None, 1), name="x")
    return keras.Model({"x": x}, {"y": keras.layers.Dense(1, kernel_initializer="zeros")(x)})


def run(network: keras.Model, work: Path, config: TrainingConfig = CONFIG, *, stop: int = 99) -> list[str]:
    """The lines of a run, which is killed after so many epochs."""
    lines: list[str] = []

    def metrics() -> str:
        if len(lines) == stop:
            raise KeyboardInterrupt
        return "measured"

    train(network, LineSampler(config, 12), config, work, loss="mse", log=lines.append, metrics=metrics)
    return lines


def test_a_run_learns_and_reports_every_epoch(tmp_path: Path) -> None:
    network = model()
    lines = run(network, tmp_path, TrainingConfig(batch_size=4, epochs=30, learning_rate=0.3))
    assert [line.split(":")[0] for line in lines] == [f"epoch {number}" for number in range(1, 31)]
    assert lines[0].endswith("measured")
    assert np.ravel(network.get_weights()[0]) == pytest.approx([3], abs=0.3)


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    whole, killed, resumed = model(), model(), model()
    run(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(killed, tmp_path / "killed", stop=2)
    assert [line[:7] for line in run(resumed, tmp_path / "killed")] == ["epoch 4"]
    again = model()
    assert not run(again, tmp_path / "killed"), "nothing was left to do"
    for network in (resumed, again):
        for first, second in zip(whole.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_the_average_of_the_weights_is_kept(tmp_path: Path) -> None:
    averaged, last = model(), model()
    run(averaged, tmp_path / "averaged")
    run(last, tmp_path / "last", TrainingConfig(batch_size=4, epochs=4, learning_rate=0.1))
    assert averaged.get_weights()[0] < last.get_weights()[0]


def test_the_learning_rate_rises_and_falls() -> None:
    schedule = lr_schedule(TrainingConfig(learning_rate=0.5, warm_up=0.1), 100)
    rates = [float(schedule(step)) for step in (0, 5, 10, 55, 100)]
    assert rates == pytest.approx([0, 0.25, 0.5, 0.25, 0], abs=0.01)


def test_less_data_than_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fewer examples than a batch"):
        train(model(), LineSampler(CONFIG, 3), CONFIG, tmp_path, loss="mse")
