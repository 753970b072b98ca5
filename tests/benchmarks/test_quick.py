from __future__ import annotations

import json

import quick


def test_a_tenth_less_is_not_noticed_and_more_is() -> None:
    assert quick.lost_ground({"a": 1.81, "b": 5.0}, {"a": 2.0, "b": 1.0}) == []
    assert quick.lost_ground({"a": 1.79}, {"a": 2.0}) == ["a: 1.79, and 2.00 is stored"]


def test_there_is_a_stored_ratio_to_every_server() -> None:
    stored = json.loads(quick.STORED.read_text())
    assert len(stored) == 3 * (len(quick.NAMES) - 1)
