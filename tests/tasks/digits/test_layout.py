from __future__ import annotations

import math
from itertools import accumulate

import pytest

from trigger_api.tasks.digits.components import BoundingBox
from trigger_api.tasks.digits.layout import find_lines, find_numbers


def row(top: float, count: int, climb_degrees: float = 0, left: int = 10, step: int = 40) -> list[BoundingBox]:
    climb = math.tan(math.radians(climb_degrees))
    tops = [round(top + climb * step * number) for number in range(count)]
    return [BoundingBox(y, left + step * number, y + 40, left + step * number + 28) for number, y in enumerate(tops)]


@pytest.mark.parametrize("degrees", [-25, -20, -10, 0, 10, 20, 25])
def test_lines_may_climb_and_fall(degrees: float) -> None:
    boxes = [*row(200, 8, degrees), *row(270, 8, degrees)]
    mixed = [7, 3, 12, 0, 8, 15, 1, 4, 9, 2, 14, 5, 10, 6, 13, 11]
    lines = find_lines([boxes[number] for number in mixed])
    assert [[mixed[member] for member in line] for line in lines] == [list(range(8)), list(range(8, 16))]


def test_digits_of_different_heights_share_a_line() -> None:
    boxes = [BoundingBox(10, 10, 50, 40), BoundingBox(22, 50, 50, 70), BoundingBox(12, 80, 52, 84)]
    assert find_lines(boxes) == [[0, 1, 2]]


def test_a_wide_gap_ends_a_number() -> None:
    boxes = [*row(10, 3), *row(10, 2, left=220)]
    assert find_numbers(boxes, range(5)) == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("pitches", "numbers"), [((90, 100, 95), 1), ((100, 150, 100), 4), ((100,), 2), ((200, 200), 3)]
)
def test_digits_at_an_even_pitch_are_one_number(pitches: tuple[int, ...], numbers: int) -> None:
    boxes = [BoundingBox(10, 10 + left, 60, 40 + left) for left in (0, *accumulate(pitches))]
    assert len(find_numbers(boxes, range(len(boxes)))) == numbers


def test_no_boxes_make_no_lines() -> None:
    assert find_lines([]) == []
