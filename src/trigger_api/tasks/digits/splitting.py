"""Splits touching digits: a segmentation lattice over all plausible cuts, and the best path through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from trigger_api.tasks.digits.components import BoundingBox, Component, drop_scraps

Span = tuple[int, int]
"""An edge of the lattice: from one cut to another, by number. Cut 0 is the left edge, the last one the right edge."""

MAX_CUTS: Final = 18
_DIGIT_PENALTY = -0.2  # log-probability: of equally likely paths, the one with fewer digits is better
_MIN_ASPECT = 0.8  # width / height: a narrower component is one digit at most
_MIN_WIDTH, _MAX_WIDTH = 0.12, 1.3  # of the height: how wide one of several digits may be
_MIN_DISTANCE = 0.1  # of the height, from one cut to the next
_STROKE_INK = 0.3


def may_be_touching(component: Component) -> bool:
    """Whether a component is wide enough for two digits."""
    return component.box.width >= _MIN_ASPECT * component.box.height and component.box.width >= 8


def find_cuts(component: Component) -> list[int]:
    """The columns to cut at, both edges included, from left to right.

    First come those where little ink would be cut. Round digits touch where both strokes are upright, so the gaps
    between them are filled with further cuts.
    """
    profile = ndimage.gaussian_filter1d(_cut_cost(component), max(0.6, 0.02 * component.box.height))
    distance = max(2, round(_MIN_DISTANCE * component.box.height), len(profile) // MAX_CUTS)
    columns = np.arange(distance, len(profile) - distance + 1)
    minima = ndimage.minimum_filter1d(profile, 2 * distance + 1)[columns] >= profile[columns]
    cuts = [0, len(profile)]
    for column in [*columns[minima].tolist(), *columns.tolist()]:
        if min(abs(column - cut) for cut in cuts) >= distance:
            cuts.append(column)
    return sorted(cuts)


def find_candidates(component: Component, cuts: list[int]) -> dict[Span, Component]:
    """The part of a component between any two of its cuts that is as wide as a digit."""
    candidates = {}
    for first in range(len(cuts) - 1):
        for last in range(first + 1, len(cuts)):
            width = cuts[last] - cuts[first]
            if _MIN_WIDTH * component.box.height <= width <= _MAX_WIDTH * component.box.height:
                part = _part(component, cuts[first], cuts[last])
                if part is not None:
                    candidates[first, last] = part
    return candidates


def best_path(scores: Mapping[Span, float], last: int) -> list[Span]:
    """The path of spans from cut 0 to the ``last`` with the largest sum of scores, which are log-probabilities.

    Empty if there is no such path.
    """
    best: dict[int, tuple[float, list[Span]]] = {0: (0.0, [])}
    for end in range(1, last + 1):
        paths = [
            (best[start][0] + score + _DIGIT_PENALTY, [*best[start][1], (start, stop)])
            for (start, stop), score in scores.items()
            if stop == end and start in best
        ]
        if paths:
            best[end] = max(paths, key=lambda path: path[0])
    return best.get(last, (0.0, []))[1]


def _cut_cost(component: Component) -> NDArray[np.float64]:
    """How much ink a cut at each column goes through; a little more where the component is tall."""
    mask = component.ink > _STROKE_INK
    height = mask.shape[0]
    tops = np.where(mask.any(axis=0), np.argmax(mask, axis=0), height)
    bottoms = np.where(mask.any(axis=0), height - np.argmax(mask[::-1], axis=0), 0)
    return np.asarray(component.ink.sum(axis=0) + 0.15 * np.maximum(bottoms - tops, 0), np.float64)


def _part(component: Component, left: int, right: int) -> Component | None:
    """The part between two columns, in a box of its own; None if it is too flat to be a digit."""
    part = drop_scraps(Component(component.box, component.ink[:, left:right]))
    mask = part.ink > _STROKE_INK
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows) or rows[-1] - rows[0] < 0.3 * component.box.height:
        return None
    top = component.box.top - (component.ink.shape[0] - component.box.height) // 2
    start = component.box.left - (component.ink.shape[1] - component.box.width) // 2 + left
    return Component(
        BoundingBox(top + int(rows[0]), start + int(columns[0]), top + int(rows[-1]) + 1, start + int(columns[-1]) + 1),
        part.ink,
    )
