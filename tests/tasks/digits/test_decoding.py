from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.digits.components import BoundingBox, Component
from trigger_api.tasks.digits.decoding import is_doubtful, resolve, select_digits
from trigger_api.tasks.digits.segmentation import Alternatives, Lattice


def scores(value: int, probability: float) -> NDArray[np.float32]:
    """One digit with this probability; the rest says that it is not a digit."""
    row = np.zeros(11, np.float32)
    row[value], row[10] = probability, 1 - probability
    return row


def component(left: int, width: int, height: int = 40) -> Component:
    return Component(BoundingBox(0, left, height, left + width), np.ones((height, width), np.float32))


def test_only_an_uncertain_component_is_doubtful() -> None:
    assert is_doubtful(scores(3, 0.5))
    assert not is_doubtful(scores(3, 0.95))


def test_a_component_is_split_where_its_parts_are_likelier() -> None:
    whole, left, right = component(0, 60), component(0, 28), component(30, 30)
    lattice = Alternatives({0: Lattice(2, {(0, 1): left, (1, 2): right})}, {})
    parts = [scores(4, 0.9), scores(7, 0.9)]
    split = resolve([whole], [scores(8, 0.1)], lattice, parts)
    assert [box for box, _ in split] == [left.box, right.box]
    kept = resolve([whole], [scores(8, 0.8)], lattice, parts)
    assert [box for box, _ in kept] == [whole.box]


def test_two_components_are_merged_where_that_is_likelier() -> None:
    parts = [component(0, 10), component(12, 10)]
    both = component(0, 22)
    merged = Alternatives({}, {(0, 1): both})
    doubtful = [scores(1, 0.3), scores(1, 0.2)]
    assert [box for box, _ in resolve(parts, doubtful, merged, [scores(0, 0.95)])] == [both.box]
    assert len(resolve(parts, doubtful, merged, [scores(0, 0.1)])) == 2


def test_a_doubtful_shape_counts_among_digits_but_not_among_letters() -> None:
    doubtful = (component(0, 20).box, scores(5, 0.55))
    digits = [(component(30 * n, 20).box, scores(2, 0.99)) for n in range(1, 6)]
    letters = [(component(30 * n, 20).box, scores(2, 0.01)) for n in range(1, 6)]
    assert len(select_digits([doubtful, *digits], 0.5)) == 6
    assert select_digits([doubtful, *letters], 0.5) == []


def test_a_tiny_shape_beside_digits_is_a_comma() -> None:
    digits = [(component(30 * n, 20).box, scores(2, 0.99)) for n in range(3)]
    comma = (component(100, 5, height=10).box, scores(1, 0.9))
    assert [box for box, _ in select_digits([*digits, comma], 0.5)] == [box for box, _ in digits]
