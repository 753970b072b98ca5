import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from trigger_api.cards import Decision, LogMelFrontEnd, ModelCard, TensorSpec
from trigger_api.evaluation.trigger.listening import Listener
from trigger_api.evaluation.trigger.trials import Clip, clip, clips, listen, merged, percentile
from trigger_api.tasks.log_mel import LogMel
from trigger_api.training.trigger.recordings import RATE, Samples

FRONT_END = LogMelFrontEnd(bands=8, tail_ms=500)


def card(**decision: float) -> ModelCard:
    return ModelCard(
        task="trigger",
        name="beep",
        version="1",
        inputs=(TensorSpec(name="features", shape=(-1, 8)), TensorSpec(name="state", shape=(1,))),
        outputs=(TensorSpec(name="scores", shape=(-1,)), TensorSpec(name="state", shape=(1,))),
        lengths=(8, 64),
        frame_ms=40,
        front_end=FRONT_END,
        decision=Decision.model_validate({"threshold": 0.5, "patience": 1, "refractory_ms": 200, **decision}),
    )


def hears_highs(features: NDArray[np.float32], state: Any) -> tuple[Any, Any]:
    """A network whose score is high while the top band is louder than the others; its state counts the windows."""
    highs = features[0, 3::4, 7] - features[0, 3::4, :6].mean(axis=-1)
    return 1 / (1 + np.exp(-4 * (highs - 0.5)))[None], state + 1


@pytest.fixture
def listener() -> Listener:
    return Listener(card(), LogMel(FRONT_END), hears_highs)


def beeps(*seconds: float, total: float = 3.0) -> Samples:
    """Beeps of 0.2 s at 6 kHz that end at the given times, over low noise."""
    times = np.arange(int(total * RATE)) / RATE
    rumble = np.cumsum(np.random.default_rng(0).standard_normal(len(times))) * 1e-6
    high = 0.3 * np.sin(2 * np.pi * 6_000 * times)
    return np.asarray(rumble + sum(high * ((times > end - 0.2) & (times <= end)) for end in seconds), np.float32)


def test_scores_do_not_depend_on_windows(listener: Listener) -> None:
    scores = listener.scores(beeps(1.0))
    assert len(scores) == 3.5 / 0.04 // 1
    assert scores[23] > 0.9
    assert scores[40] < 0.2


def test_a_word_heard_in_time_is_a_hit(listener: Listener) -> None:
    trial = listen(listener, [Clip("one", beeps(1.0), (0.8, 1.0)), Clip("none", beeps())])
    point = trial.at(0.5)
    assert (point.words, point.hits, point.false_accepts) == (1, 1, 0)
    assert point.misses.value == 0
    assert point.hours == pytest.approx(3 / 3600)
    assert -0.2 < point.errors[0] < 0
    assert trial.cost > 0


def test_every_other_activation_is_a_false_accept(listener: Listener) -> None:
    takes = [Clip("one", beeps(1.0, 1.3, 2.6), (0.8, 1.0)), Clip("none", beeps(0.5, 2.0))]
    point = listen(listener, takes).at(0.5)
    assert (point.hits, point.false_accepts) == (1, 4)
    assert point.false_rate.value == pytest.approx(4 / 3 * 3600)


def test_a_late_activation_is_a_miss_and_a_false_accept(listener: Listener) -> None:
    point = listen(listener, [Clip("late", beeps(2.5), (0.8, 1.0))]).at(0.5)
    assert (point.hits, point.false_accepts) == (0, 1)


def test_the_delay_is_in_the_lag_and_not_in_the_error(listener: Listener) -> None:
    slow = Listener(card(delay_ms=100), listener.front, hears_highs)
    point = listen(slow, [Clip("one", beeps(1.0), (0.7, 1.0))]).at(0.5)
    assert point.lags[0] - point.errors[0] == pytest.approx(0.1)


def test_allowing_finds_the_lowest_threshold(listener: Listener) -> None:
    trial = listen(listener, [Clip("none", beeps(0.5, 2.0))])
    none = trial.allowing(0)
    assert none.false_accepts == 0
    assert trial.at(none.threshold - 0.01).false_accepts > 0
    assert trial.allowing(2).threshold < none.threshold


def test_the_curve_only_falls(listener: Listener) -> None:
    curve = listen(listener, [Clip("one", beeps(1.0), (0.8, 1.0))]).curve()
    hits = [point.hits for point in curve if point.threshold > 0.3]
    assert hits == sorted(hits, reverse=True)


def test_changes_are_drawn_from_the_seed(listener: Listener) -> None:
    def noisy(samples: Samples, rng: np.random.Generator) -> Samples:
        return (samples + 0.1 * rng.standard_normal(len(samples))).astype(np.float32)

    first, again = (listen(listener, [Clip("x", beeps(1.0))], noisy, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.takes[0].scores, again.takes[0].scores)
    assert len(merged([first, again]).takes) == 2


def test_the_cost_is_of_the_scores_alone(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()  # a second passes whenever somebody looks, and a hundred while a clip is read
    monkeypatch.setattr("time.process_time", lambda: float(next(clock)))

    def heard(count: int) -> Iterator[Clip]:
        for name in "abc"[:count]:
            list(itertools.islice(clock, 100))
            yield Clip(name, beeps())

    trials = [listen(listener, heard(count)) for count in (1, 3)]
    assert [trial.work for trial in trials] == [1, 3]
    assert merged(trials).cost == pytest.approx(4 / 12)
    assert listen(listener, []).cost == 0


def test_clips_of_a_folder(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", beeps(1.0), RATE)
    (said,) = clips([tmp_path], said=True)
    (unsaid,) = clips([tmp_path], said=False)
    assert said.word == pytest.approx((0.8, 1.0), abs=0.02)
    assert unsaid.word is None
    for length in (0, 10, RATE):
        assert clip("silent", np.zeros(length, np.float32), said=True).word is None


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert np.isnan(percentile([], 50))
    assert percentile([1, 2, 3], 50) == 2
