import numpy as np

from trigger_api.evaluation.report import percent, share


def test_shares_have_two_decimals_and_that_of_nothing_is_0() -> None:
    assert share(1, 3) == 33.33
    assert percent(np.array([True, False, True])) == 66.67
    assert share(0, 0) == percent(np.zeros(0, np.bool_)) == 0
