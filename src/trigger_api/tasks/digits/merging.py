"""Merges broken digits: which neighbouring components may be one digit that the pen, or a fold, left open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from trigger_api.tasks.digits.components import Component
from trigger_api.tasks.digits.mnist import Ink

Pair = tuple[int, int]

_MAX_GAP = 0.3  # of the height of the taller component
_MAX_WIDTH = 1.2  # of the height of both together
_MAX_HEIGHT = 2.5  # of the height of the taller component
_NEIGHBOURS = 3  # how many on the right a component is compared with


def find_broken(components: Sequence[Component], doubtful: Sequence[bool]) -> Iterator[Pair]:
    """Pairs of components, by number, that may be one digit. At least one of each pair is ``doubtful``."""
    order = sorted(range(len(components)), key=lambda number: components[number].box.left)
    for position, first in enumerate(order):
        for second in order[position + 1 : position + 1 + _NEIGHBOURS]:
            if (doubtful[first] or doubtful[second]) and _may_be_one(components[first], components[second]):
                yield first, second


def merge(first: Component, second: Component) -> Component:
    """Both as one component."""
    box = first.box.union(second.box)
    margin = max(*first.ink.shape, *second.ink.shape)
    ink = np.zeros((box.height + 2 * margin, box.width + 2 * margin), np.float32)
    for component in (first, second):
        _paste(ink, component, box.top - margin, box.left - margin)
    return Component(box, ink)


def _paste(ink: Ink, component: Component, top: int, left: int) -> None:
    """Add the ink of a component to a larger picture whose upper left corner is at ``top`` and ``left``."""
    row = component.box.top - top - (component.ink.shape[0] - component.box.height) // 2
    column = component.box.left - left - (component.ink.shape[1] - component.box.width) // 2
    target = ink[row : row + component.ink.shape[0], column : column + component.ink.shape[1]]
    np.maximum(target, component.ink, out=target)


def _may_be_one(first: Component, second: Component) -> bool:
    height = max(first.box.height, second.box.height)
    union = first.box.union(second.box)
    gap_x = second.box.left - first.box.right
    gap_y = max(first.box.top, second.box.top) - min(first.box.bottom, second.box.bottom)
    near = max(gap_x, gap_y) <= _MAX_GAP * height
    return near and union.width <= _MAX_WIDTH * union.height and union.height <= _MAX_HEIGHT * height
