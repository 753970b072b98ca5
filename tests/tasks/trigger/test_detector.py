import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trigger_api.model_card import Decision
from trigger_api.tasks.trigger.detector import Debouncer, Detection


def decide(scores: list[float], **decision: float) -> list[Detection]:
    return Debouncer(Decision.model_validate({"threshold": 0.5, **decision}), 40.0).push(np.array(scores, np.float32))


def times(hits: list[Detection]) -> list[int]:
    return [hit.time_ms for hit in hits]


def test_a_crossing_is_reported_at_the_end_of_its_frame() -> None:
    assert decide([0, 0, 0.75, 0]) == [Detection(120, 0.75)]


def test_low_scores_are_no_detection() -> None:
    assert decide([]) == []
    assert decide([0.1, 0.4999]) == []


def test_a_score_equal_to_the_threshold_counts() -> None:
    assert times(decide([0.5])) == [40]


def test_patience_needs_consecutive_scores() -> None:
    assert times(decide([0.9, 0, 0.9, 0.9, 0.9], patience=2)) == [160]


def test_an_empty_piece_does_not_end_a_run() -> None:
    stream = Debouncer(Decision(threshold=0.5, patience=2), 40.0)
    pieces = [np.array(piece, np.float32) for piece in ([0.9], [], [0.9])]
    assert times([hit for piece in pieces for hit in stream.push(piece)]) == [80]


def test_scores_that_stay_high_are_one_detection() -> None:
    assert times(decide([0.9] * 100)) == [40]


def test_no_detection_within_the_refractory_time() -> None:
    assert times(decide([0.9, 0, 0.9, 0, 0.9], refractory_ms=160)) == [40, 200]


def test_the_delay_is_subtracted_down_to_zero() -> None:
    assert times(decide([0, 0, 0.9, 0, 0.9], delay_ms=100, refractory_ms=0)) == [20, 100]
    assert times(decide([0.9], delay_ms=100)) == [0]


@pytest.mark.parametrize(
    ("before", "score", "time_ms"),
    [(0.5 - 0.3, 0.5 + 0.3, 80), (0.49, 0.9, 61), (0.1, 0.501, 100), (0.0, 0.5, 100), (0.05, 0.5, 100)],
)
def test_the_moment_may_be_interpolated_around_the_middle(before: float, score: float, time_ms: int) -> None:
    assert times(decide([0, before, score, 0], delay_ms=40, interpolated=True)) == [time_ms]


def test_what_is_below_the_gate_has_no_influence_on_the_moment() -> None:
    assert len({decide([low, 0.9], interpolated=True)[0].time_ms for low in (0, 1e-6, 0.01, 0.05)}) == 1
    assert times(decide([0.9], interpolated=True)) == times(decide([0, 0.9], interpolated=True, delay_ms=40))


def test_patience_does_not_move_the_moment() -> None:
    once, twice = (decide([0.2, 0.8, 0.9], interpolated=True, patience=patience) for patience in (1, 2))
    assert times(twice) == [times(once)[0] + 40]


@given(threshold=st.floats(0, 1), before=st.floats(0, 1), score=st.floats(0, 1))
def test_an_interpolated_moment_is_at_most_half_a_frame_away(threshold: float, before: float, score: float) -> None:
    plain, moved = (
        decide([before, score], threshold=threshold, interpolated=interpolated, refractory_ms=0)
        for interpolated in (False, True)
    )
    assert len(plain) == len(moved)
    assert all(abs(one.time_ms - other.time_ms) <= 20 for one, other in zip(plain, moved, strict=True))


@pytest.mark.parametrize("interpolated", [False, True])
@pytest.mark.parametrize("patience", [1, 3])
@given(
    scores=st.lists(st.sampled_from([0.0, 0.4, 0.5, 0.9]), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_detections_do_not_depend_on_how_a_stream_is_split(
    scores: list[float], cuts: list[int], patience: int, interpolated: bool
) -> None:
    decision = Decision(threshold=0.5, patience=patience, refractory_ms=200, interpolated=interpolated)
    whole: NDArray[np.float32] = np.array(scores, np.float32)
    pieces = np.split(whole, sorted(min(cut, len(scores)) for cut in cuts))
    stream = Debouncer(decision, 40.0)
    assert [hit for piece in pieces for hit in stream.push(piece)] == Debouncer(decision, 40.0).push(whole)
    steps = Debouncer(decision, 40.0)
    assert [hit for score in whole.tolist() if (hit := steps.step(score))] == Debouncer(decision, 40.0).push(whole)


def test_a_single_score_is_compared_like_an_array() -> None:
    score = np.array([0.9929], np.float32)  # rounds to a little less
    assert Debouncer(Decision(threshold=0.9929), 40.0).push(score)
    assert Debouncer(Decision(threshold=0.9929), 40.0).step(float(score[0]))
