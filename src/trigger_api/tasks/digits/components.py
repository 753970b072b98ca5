"""Connected components that may be a digit each, with broken-off fragments put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from trigger_api.tasks.digits.mnist import Ink

MAX_COMPONENTS: Final = 400
_STROKE_INK = 0.3  # ink from which a pixel belongs to a stroke
_MIN_HEIGHT = 7  # pixels; a smaller digit cannot be read
_SPECK, _SCRAP = 0.12, 0.25  # of the x-height: smaller components are dropped, at once or unless merged
_FRAGMENT = 0.6  # of the x-height: smaller components may have been broken off
_NEAR = 0.15  # of the x-height
_EIGHT_CONNECTED = np.ones((3, 3), bool)
_MARGIN = 1


@dataclass(frozen=True)
class BoundingBox:
    """A rectangle of pixels: rows from ``top`` up to ``bottom``, columns from ``left`` up to ``right``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def center(self) -> tuple[float, float]:
        """Row and column."""
        return (self.top + self.bottom) / 2, (self.left + self.right) / 2

    def union(self, other: BoundingBox) -> BoundingBox:
        """The smallest box around both."""
        return BoundingBox(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


@dataclass(frozen=True)
class Component:
    """Some strokes and nothing else.

    Attributes:
        box: around the strokes.
        ink: of the strokes, with the same margin on opposite sides of the box.
    """

    box: BoundingBox
    ink: Ink


def find_components(ink: Ink) -> list[Component]:
    """The components of a page that may be digits, in no order; none if the page is full of specks."""
    labels, count = ndimage.label(ink > _STROKE_INK, _EIGHT_CONNECTED)
    if not count:
        return []
    boxes = [_bounding_box(slices) for slices in ndimage.find_objects(labels)]
    x_height = _x_height(boxes, np.bincount(labels.reshape(-1))[1:])
    kept = [number for number, box in enumerate(boxes) if max(box.height, box.width) >= max(_SPECK * x_height, 3)]
    if len(kept) > 4 * MAX_COMPONENTS:
        return []
    groups = _merge_fragments([boxes[number] for number in kept], x_height)
    components = [_component(ink, labels, [kept[member] + 1 for member in group], boxes) for group in groups]
    min_size = max(_MIN_HEIGHT, _SCRAP * x_height)
    large = [each for each in components if max(each.box.height, each.box.width) >= min_size]
    return large if len(large) <= MAX_COMPONENTS else []


def drop_scraps(component: Component) -> Component:
    """A component without the scraps of its neighbours that a cut left in it."""
    labels, count = ndimage.label(component.ink > _STROKE_INK, _EIGHT_CONNECTED)
    if count < 2:
        return component
    areas = np.bincount(labels.reshape(-1))
    areas[0] = 0
    kept = ndimage.binary_dilation((areas > 0.2 * areas.max())[labels], _EIGHT_CONNECTED)
    return Component(component.box, np.asarray(component.ink * kept, np.float32))


def _bounding_box(slices: tuple[slice, ...]) -> BoundingBox:
    rows, columns = slices
    return BoundingBox(rows.start, columns.start, rows.stop, columns.stop)


def _x_height(boxes: list[BoundingBox], areas: NDArray[np.intp]) -> float:
    """The typical height of the writing: half of the ink lies in components up to it."""
    heights = np.array([box.height for box in boxes])
    order = np.argsort(heights)
    half = np.searchsorted(np.cumsum(areas[order]), areas.sum() / 2)
    return float(heights[order[min(half, len(order) - 1)]])


def _merge_fragments(boxes: list[BoundingBox], x_height: float) -> list[list[int]]:
    """Groups of numbers of boxes: fragments together with what they were broken off from (union-find)."""
    parents = list(range(len(boxes)))

    def root(number: int) -> int:
        while parents[number] != number:
            number = parents[number]
        return number

    for first, second in _fragment_pairs(boxes, x_height):
        parents[root(first)] = root(second)
    groups: dict[int, list[int]] = {}
    for number in range(len(boxes)):
        groups.setdefault(root(number), []).append(number)
    return list(groups.values())


def _fragment_pairs(boxes: list[BoundingBox], x_height: float) -> Sequence[Sequence[int]]:
    """Pairs of boxes one of which is a fragment: above, below or within the other, or right beside it."""
    if not boxes:
        return []
    top, left, bottom, right = np.array([(box.top, box.left, box.bottom, box.right) for box in boxes]).T
    height, width = bottom - top, right - left
    gap_y, gap_x = _pairwise_gaps(top, bottom), _pairwise_gaps(left, right)
    taller = np.maximum(height[:, None], height)
    small = np.minimum(height[:, None], height) < _FRAGMENT * np.minimum(taller, x_height * 1.5)
    aligned = -gap_x >= 0.5 * np.minimum(width[:, None], width)
    union_height = np.maximum(bottom[:, None], bottom) - np.minimum(top[:, None], top)
    stacked = aligned & (gap_y <= _NEAR * x_height) & (union_height <= 1.5 * x_height)
    beside = (gap_x <= _NEAR / 3 * x_height) & (gap_y < 0) & small
    pairs: list[list[int]] = np.argwhere(np.triu((stacked & small) | beside, 1)).tolist()
    return pairs


def _pairwise_gaps(start: NDArray[np.intp], end: NDArray[np.intp]) -> NDArray[np.intp]:
    """The gap between any two intervals ``(n, n)``; negative where they overlap."""
    gaps: NDArray[np.intp] = np.maximum(start[:, None], start) - np.minimum(end[:, None], end)
    return gaps


def _component(ink: Ink, labels: NDArray[np.integer], members: list[int], boxes: list[BoundingBox]) -> Component:
    box = boxes[members[0] - 1]
    for member in members[1:]:
        box = box.union(boxes[member - 1])
    rows = slice(max(box.top - _MARGIN, 0), box.bottom + _MARGIN)
    columns = slice(max(box.left - _MARGIN, 0), box.right + _MARGIN)
    # The soft edge of a stroke lies beyond the pixels that count as its own.
    own = ndimage.binary_dilation(np.isin(labels[rows, columns], members), _EIGHT_CONNECTED)
    return Component(box, np.asarray(ink[rows, columns] * own, np.float32))
