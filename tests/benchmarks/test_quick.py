"""The quick comparison with other servers."""

from __future__ import annotations

import json

import compare
import quick
from load import LoadResult


def test_a_ratio_is_the_median_over_rounds() -> None:
    rates = dict.fromkeys(quick.NAMES, 2.0) | {quick.NAMES[0]: 1.0}
    rounds = [
        {(name, 8): LoadResult(1.0, [0.1] * round(rate * (turn if name == compare.ONNX else 1)))
         for name, rate in rates.items()}
        for turn in (1, 2, 9)
    ]  # fmt: skip
    measured = quick.ratios(rounds, (8,))
    assert measured[f"{compare.OVERHEAD}, 8 clients"] == 4.0
    assert measured[f"{compare.MOSEC}, 8 clients"] == 2.0


def test_a_tenth_less_is_not_noticed_and_more_is() -> None:
    assert quick.lost_ground({"a": 1.81, "b": 5.0}, {"a": 2.0, "b": 1.0}) == []
    assert quick.lost_ground({"a": 1.79}, {"a": 2.0}) == ["a: 1.79, and 2.00 is stored"]


def test_there_is_a_stored_ratio_to_every_server() -> None:
    stored = json.loads(quick.STORED.read_text())
    assert len(stored) == 3 * (len(quick.NAMES) - 1)
