"""Reading order: boxes into lines from top to bottom, each from left to right, and lines into numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from trigger_api.tasks.digits.components import BoundingBox

_MAX_OFFSET = 0.55  # of the taller box's height: neighbours in a line are not farther above or below
_MAX_GAP = 6.0  # heights between neighbours in a line
_SPACE = 0.9  # heights: a wider gap ends a number
_MAX_SLOPE = 0.3  # a line does not climb more steeply


def find_lines(boxes: Sequence[BoundingBox]) -> list[list[int]]:
    """The numbers of the boxes, line by line. A line may climb or fall: each box is compared with its neighbour."""
    lines: list[list[int]] = []
    for number in sorted(range(len(boxes)), key=lambda number: boxes[number].left):
        line = _nearest_line(lines, boxes, number)
        if line is None:
            lines.append([number])
        else:
            line.append(number)
    return sorted(lines, key=lambda line: float(np.mean([boxes[number].center[0] for number in line])))


def find_numbers(boxes: Sequence[BoundingBox], line: Sequence[int]) -> list[list[int]]:
    """Split a line where its gaps are wide."""
    height = float(np.median([boxes[number].height for number in line]))
    numbers = [[line[0]]]
    for before, after in pairwise(line):
        if boxes[after].left - boxes[before].right > _SPACE * height:
            numbers.append([])
        numbers[-1].append(after)
    return numbers


def _nearest_line(lines: list[list[int]], boxes: Sequence[BoundingBox], number: int) -> list[int] | None:
    """The line that a box continues; None if it begins a new one."""
    candidates = [(_distance([boxes[member] for member in line], boxes[number]), line) for line in lines]
    near = [(distance, line) for distance, line in candidates if distance is not None]
    return min(near, key=lambda pair: pair[0])[1] if near else None


def _distance(line: Sequence[BoundingBox], box: BoundingBox) -> float | None:
    """How far a box is from the end of a line; None if it does not belong to it."""
    last = line[-1]
    gap = box.left - last.right
    expected = last.center[0] + _slope(line) * (box.center[1] - last.center[1])
    offset = abs(box.center[0] - expected)
    if offset > _MAX_OFFSET * max(last.height, box.height) or gap > _MAX_GAP * min(last.height, box.height):
        return None
    return float(max(gap, 0) + 2 * offset)


def _slope(line: Sequence[BoundingBox]) -> float:
    """Rows per column by which a line falls, fitted to its last boxes."""
    if len(line) < 3:
        return 0.0
    rows, columns = np.array([box.center for box in line[-5:]]).T
    steps = columns - columns.mean()
    return float(np.clip((rows * steps).sum() / max(np.square(steps).sum(), 1), -_MAX_SLOPE, _MAX_SLOPE))
