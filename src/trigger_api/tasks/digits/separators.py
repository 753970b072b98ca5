"""Separators of forms: upright strokes between digits, with no line across."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import ndimage

from trigger_api.tasks.digits.binarization import Foreground

_INK: Final = 0.1  # ink from which a pixel counts
_LEAST: Final = 3  # separators that make a row of cells
_MIN_HEIGHT: Final = 24  # pixels
_WIDTH: Final = 0.06  # of its height: narrower than a written 1 leans
_ALIKE: Final = 0.03  # of the height by which their ends may differ
_EVEN: Final = 0.15  # of a cell's width by which cells may differ
_BEYOND: Final = 0.06  # of the height by which separators reach beyond the digits, above and below
_DIGIT: Final = 0.25  # of the height from which something is a digit
_EIGHT_CONNECTED: Final = np.ones((3, 3), bool)

Place = tuple[slice, ...]


def remove_separators(foreground: Foreground) -> Foreground:
    """The foreground without a row of separators.

    They are thin, upright, all alike, evenly spaced, and reach beyond every digit between them, above and below. Of 1s
    that is not true: other digits in the row are as tall as they are.
    """
    labels, _ = ndimage.label(foreground.ink > _INK, _EIGHT_CONNECTED)
    places: list[Place] = ndimage.find_objects(labels)
    separators = _separators(places)
    if not separators:
        return foreground
    ink = np.where(np.isin(labels, [number + 1 for number in separators]), 0, foreground.ink)
    return Foreground(np.asarray(ink, np.float32), foreground.traces)


def _separators(places: Sequence[Place]) -> list[int]:
    """The components that separate all others; none if they do not."""
    upright = [number for number, place in enumerate(places) if _is_upright(place)]
    tallest = max((_height(places[number]) for number in upright), default=0)
    found = [number for number in upright if _height(places[number]) >= (1 - 2 * _ALIKE) * tallest]
    if len(found) < _LEAST or not _are_alike([places[number] for number in found]):
        return []
    top, bottom = places[found[0]][0].start, places[found[0]][0].stop
    height = bottom - top
    rest = [rows for number, (rows, _) in enumerate(places) if number not in found]
    digits = [rows for rows in rest if rows.stop - rows.start >= _DIGIT * height]
    margin = _BEYOND * height
    within = all(rows.start >= top + margin and rows.stop <= bottom - margin for rows in digits)
    return found if digits and within else []


def _height(place: Place) -> int:
    return int(place[0].stop - place[0].start)


def _is_upright(place: Place) -> bool:
    columns = place[1]
    height = _height(place)
    return bool(height >= _MIN_HEIGHT and columns.stop - columns.start <= max(_WIDTH * height, 3))


def _are_alike(places: Sequence[Place]) -> bool:
    """Whether strokes begin and end in the same rows, and are as far from each other."""
    ends = np.array([(rows.start, rows.stop) for rows, _ in places])
    gaps = np.diff(np.sort([columns.start for _, columns in places]))
    tolerance = max(_ALIKE * float(np.diff(ends).max()), 2)
    return bool(np.ptp(ends, axis=0).max() <= tolerance and np.ptp(gaps) <= _EVEN * np.median(gaps) + 2)
