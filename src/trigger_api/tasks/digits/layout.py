"""Reading order: boxes into lines from top to bottom, each from left to right, and lines into numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from trigger_api.tasks.digits.components import BoundingBox

_MAX_OFFSET = 0.55  # of the taller box's height: neighbours in a line are not farther above or below
_MAX_GAP = 6.0  # heights between neighbours in a line
_SPACE = 0.9  # heights: a wider gap ends a number
_PITCH = 2.6  # heights from digit to digit, at most, where a form has a place for each
_UNEVEN = 0.25  # of the pitch: what a digit may be off
_MAX_SLOPE = 0.5  # a line does not climb more steeply
_SLOPE_STEP = 0.08  # slopes of a page that are told apart
_MAX_SLOPES = 6  # slopes that are tried
_MIN_LINE = 3  # digits of a line that shows how a page is turned


def find_lines(boxes: Sequence[BoundingBox]) -> list[list[int]]:
    """The numbers of the boxes, line by line. A page may be turned, and a line may climb or fall.

    The page is taken as upright unless its digits make fewer and longer lines at another slope.
    """
    upright = _lines(boxes, 0.0)
    if len(upright) < 2:
        return upright
    best = min((_lines(boxes, slope) for slope in _slopes(boxes)), key=len, default=upright)
    return best if len(best) < len(upright) and len(boxes) >= _MIN_LINE * len(best) else upright


def _slopes(boxes: Sequence[BoundingBox]) -> list[float]:
    """How a page may be turned: the slopes from boxes to the nearest ones on their right, the most frequent first."""
    rows, columns = np.array([box.center for box in boxes]).T
    steps = columns - columns[:, None]
    steps[steps <= 0] = np.inf
    falls = (rows - rows[:, None]) / steps
    steps[np.abs(falls) > _MAX_SLOPE] = np.inf
    nearest = falls[np.arange(len(boxes)), steps.argmin(axis=1)]
    counts = Counter((np.rint(nearest / _SLOPE_STEP) * _SLOPE_STEP).tolist())
    return [slope for slope, _ in counts.most_common(_MAX_SLOPES) if slope]


def _lines(boxes: Sequence[BoundingBox], slope: float) -> list[list[int]]:
    """Lines of a page on which they fall so many rows per column; each box is compared with its neighbour."""
    lines: list[list[int]] = []
    for number in sorted(range(len(boxes)), key=lambda number: boxes[number].left):
        line = _nearest_line(lines, boxes, number, slope)
        if line is None:
            lines.append([number])
        else:
            line.append(number)
    return sorted(lines, key=lambda line: float(np.mean([_offset(boxes[number], slope) for number in line])))


def _offset(box: BoundingBox, slope: float) -> float:
    """The row at the left edge from which a line of this slope reaches a box."""
    return box.center[0] - slope * box.center[1]


def find_numbers(boxes: Sequence[BoundingBox], line: Sequence[int]) -> list[list[int]]:
    """Split a line where its gaps are wide, unless all are: the boxes of a form stand at an even pitch."""
    height = float(np.median([boxes[number].height for number in line]))
    if _is_even([boxes[number].center[1] for number in line], _PITCH * height):
        return [list(line)]
    numbers = [[line[0]]]
    for before, after in pairwise(line):
        if boxes[after].left - boxes[before].right > _SPACE * height:
            numbers.append([])
        numbers[-1].append(after)
    return numbers


def _is_even(centers: Sequence[float], most: float) -> bool:
    """Whether digits, three or more, stand at one pitch, which is at most so wide."""
    pitches = np.diff(centers)
    if len(pitches) < 2:
        return False
    pitch = float(np.median(pitches))
    return pitch <= most and bool((np.abs(pitches - pitch) <= _UNEVEN * pitch).all())


def _nearest_line(lines: list[list[int]], boxes: Sequence[BoundingBox], number: int, slope: float) -> list[int] | None:
    """The line that a box continues; None if it begins a new one."""
    candidates = [(_distance([boxes[member] for member in line], boxes[number], slope), line) for line in lines]
    near = [(distance, line) for distance, line in candidates if distance is not None]
    return min(near, key=lambda pair: pair[0])[1] if near else None


def _distance(line: Sequence[BoundingBox], box: BoundingBox, slope: float) -> float | None:
    """How far a box is from the end of a line; None if it does not belong to it."""
    last = line[-1]
    gap = box.left - last.right
    expected = last.center[0] + _slope(line, slope) * (box.center[1] - last.center[1])
    offset = abs(box.center[0] - expected)
    if offset > _MAX_OFFSET * max(last.height, box.height) or gap > _MAX_GAP * min(last.height, box.height):
        return None
    return float(max(gap, 0) + 2 * offset)


def _slope(line: Sequence[BoundingBox], slope: float) -> float:
    """Rows per column by which a line falls, fitted to its last boxes; of a short line, the page's slope."""
    if len(line) < _MIN_LINE:
        return slope
    rows, columns = np.array([box.center for box in line[-5:]]).T
    steps = columns - columns.mean()
    return float(np.clip((rows * steps).sum() / max(np.square(steps).sum(), 1), -_MAX_SLOPE, _MAX_SLOPE))
