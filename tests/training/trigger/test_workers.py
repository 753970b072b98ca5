from pathlib import Path

import numpy as np
import pytest

from trigger_api.training.trigger.corpus import NO_WORD, Bank
from trigger_api.training.trigger.fitting import Schedule, Share
from trigger_api.training.trigger.network import Layer, Shape
from trigger_api.training.trigger.workers import Task, fit_all

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = Shape(bands=8, stem=(Layer(5, 2, 4),), body=())
LONG, SHORT = Schedule(2, 250), Schedule(2, 2)


def task(folder: Path, schedule: Schedule, seed: int) -> Task:
    rng = np.random.default_rng(0)
    banks = [
        Bank(rng.normal(level, 1, (6, 24, 8)).astype(np.float16), np.full(6, end, np.float32))
        for level, end in ((1, 0.1), (-1, NO_WORD))
    ]
    return Task([Share(bank, 4) for bank in banks], SHAPE, schedule, seed, folder)


@pytest.mark.parametrize("schedule", [LONG, SHORT])
def test_networks_are_fitted_beside_one_another(tmp_path: Path, schedule: Schedule) -> None:
    parts = list[float]()
    fitted = fit_all([task(tmp_path / f"{seed}", schedule, seed) for seed in range(2)], parts.append)
    assert sum(parts) == pytest.approx(2)
    assert [len(losses) for _, losses in fitted] == [2, 2]
    assert all(losses[1] < losses[0] for _, losses in fitted)
    first, second = (network.get_weights() for network, _ in fitted)
    assert not np.array_equal(first[0], second[0])
    again, _ = task(tmp_path / "1", schedule, 1).fitted(parts.append)  # its checkpoint says that it is done
    np.testing.assert_allclose(again.get_weights()[0], second[0], atol=1e-6)


def test_a_process_that_ends_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ChildProcessError, match="stopped"):
        fit_all([task(tmp_path / "file", LONG, 0)], lambda part: None)
