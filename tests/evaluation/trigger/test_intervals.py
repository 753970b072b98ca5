import math

import pytest

from trigger_api.evaluation.trigger.intervals import per_hour, proportion


def test_wilson_of_a_textbook_case() -> None:
    rate = proportion(1, 10)
    assert (rate.value, rate.low, rate.high) == pytest.approx((0.1, 0.0179, 0.4042), abs=1e-4)


@pytest.mark.parametrize(("count", "total"), [(0, 51), (51, 51), (0, 1)])
def test_no_interval_leaves_0_to_1(count: int, total: int) -> None:
    rate = proportion(count, total)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1


def test_nothing_of_nothing_is_anything() -> None:
    rate = proportion(0, 0)
    assert math.isnan(rate.value)
    assert (rate.low, rate.high) == (0, 1)


def test_no_event_still_allows_some() -> None:
    rate = per_hour(0, 10)
    assert (rate.value, rate.low) == (0, 0)
    assert rate.high == pytest.approx(0.3689, abs=1e-4)


def test_poisson_of_a_textbook_case() -> None:
    rate = per_hour(2, 5.34)
    assert (rate.value, rate.low, rate.high) == pytest.approx((0.3745, 0.0454, 1.353), abs=1e-3)


def test_no_hours_say_nothing() -> None:
    assert per_hour(0, 0).high == math.inf
