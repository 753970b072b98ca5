"""Reading order: boxes into lines from top to bottom, each from left to right, and lines into numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from trigger_api.tasks.digits.components import Box

_LEVEL = 0.55  # of the lower box's height: neighbours in a line are not farther above or below
_LONGEST_GAP = 6.0  # heights between neighbours in a line
_SPACE = 0.9  # heights: a wider gap ends a number
_STEEPEST = 0.3  # a line that climbs more is none


def find_lines(boxes: Sequence[Box]) -> list[list[int]]:
    """The boxes' numbers, line by line. A line may climb or fall, for each box is held against its neighbour."""
    order = sorted(range(len(boxes)), key=lambda number: boxes[number].left)
    lines: list[list[int]] = []
    for number in order:
        near = [
            (_distance(boxes[line[-1]], boxes[number], _climb([boxes[each] for each in line])), line) for line in lines
        ]
        reach = min((distance for distance, _ in near if distance is not None), default=None)
        if reach is None:
            lines.append([number])
        else:
            next(line for distance, line in near if distance == reach).append(number)
    return sorted(lines, key=lambda line: float(np.mean([boxes[number].middle[0] for number in line])))


def find_numbers(boxes: Sequence[Box], line: Sequence[int]) -> list[list[int]]:
    """Cut a line where its gaps are wide."""
    tall = float(np.median([boxes[number].height for number in line]))
    numbers = [[line[0]]]
    for before, after in pairwise(line):
        if boxes[after].left - boxes[before].right > _SPACE * tall:
            numbers.append([])
        numbers[-1].append(after)
    return numbers


def _climb(line: Sequence[Box]) -> float:
    """Rows a column that a line falls by, as its last boxes have it."""
    if len(line) < 3:
        return 0.0
    rows, columns = np.array([box.middle for box in line[-5:]]).T
    steps = columns - columns.mean()
    return float(np.clip((rows * steps).sum() / max(np.square(steps).sum(), 1), -_STEEPEST, _STEEPEST))


def _distance(before: Box, after: Box, climb: float) -> float | None:
    """How far apart neighbours are; None if they are not in one line."""
    tall = min(before.height, after.height)
    aside = after.left - before.right
    expected = before.middle[0] + climb * (after.middle[1] - before.middle[1])
    off = abs(after.middle[0] - expected)
    if off > _LEVEL * max(before.height, after.height) or aside > _LONGEST_GAP * tall:
        return None
    return float(max(aside, 0) + 2 * off)
