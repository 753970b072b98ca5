"""Boxes, combs, tables and underlines of forms: removed, except where digits cross them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from trigger_api.tasks.digits.binarization import Foreground
from trigger_api.tasks.digits.mnist import Ink
from trigger_api.tasks.digits.ruled_lines import clear_line, find_lines, find_offsets, line_thickness

Mask = NDArray[np.bool_]
Labels = NDArray[np.integer]

_INK = 0.1  # ink from which a pixel counts
_MIN_SIDE = 24  # pixels of a frame's longer side
_MAX_THICKNESS = 0.08  # of a box's shorter side: a pen's strokes are thicker beside what they write
_COMB = 2.5  # widths of a frame's height: what is so wide, with a line along it, is no digit
_SCRAP = 2.5  # thicknesses of a line: how broad a corner or a tick on it may be
_ENCLOSED = 0.6  # of its bounding box that a box, turned a little, encloses
_CONTENT = 0.3  # of a ring's height: what is smaller within it may be a blot in a 0
_EIGHT_CONNECTED = np.ones((3, 3), bool)


def remove_frames(foreground: Foreground) -> Foreground:
    """The foreground without the ink of a form's frames.

    A box or a table has two lines or more each way, from edge to edge of what is connected to it; a comb and an
    underline are wide, with a line along them. Neither is true of any digit that a pen writes.
    """
    ink = foreground.ink
    labels, _ = ndimage.label(ink > _INK, _EIGHT_CONNECTED)
    places = ndimage.find_objects(labels)
    cleared = ink.copy()
    for number, place in enumerate(places, 1):
        own = labels[place] == number
        if max(own.shape) < _MIN_SIDE:
            continue
        filled = _filled(own)
        if own.shape[1] < _COMB * own.shape[0] and filled.mean() < _ENCLOSED:
            continue  # neither wide, nor around anything: most digits are not, and cost no more
        rest = _without_lines(ink[place] * own, own)
        if rest is not None:
            cleared[place][own] = rest[own]
        elif _is_around_a_digit(own, np.unique(labels[place][filled & ~own]), places):
            cleared[place][own] = 0
    return Foreground(cleared, foreground.traces)


def _filled(own: Mask) -> Mask:
    """A component with what it encloses."""
    background, _ = ndimage.label(np.pad(~own, 1, constant_values=True))
    return np.asarray((background != background[0, 0])[1:-1, 1:-1])


def _is_around_a_digit(own: Mask, inside: Labels, places: Sequence[tuple[slice, ...]]) -> bool:
    """Whether one of the components inside is large enough to be what was written: then it is a box drawn by hand."""
    heights = [places[other - 1][0].stop - places[other - 1][0].start for other in inside if other]
    return bool(max(heights, default=0) >= _CONTENT * own.shape[0])


def _without_lines(ink: Ink, own: Mask) -> Ink | None:
    """The ink of one component without the lines of a frame; None if it is none.

    A frame that is turned a little is sheared upright first: the sides of a long one would not reach from edge to edge.
    """
    slope, offsets = find_lines(own)
    if not len(offsets):
        return None
    rows, columns = _sheared(own.shape, slope)
    upright = np.zeros((rows.max() + 1, own.shape[1]), bool)
    upright[rows, columns] = own
    used = slice(*(np.flatnonzero(upright.any(axis=1))[[0, -1]] + [0, 1]))
    sheared = np.zeros(upright.shape, np.float32)
    sheared[rows, columns] = ink
    rest = _without_upright_lines(sheared[used], upright[used], slope)
    if rest is None:
        return None
    sheared[used] = rest
    return np.asarray(sheared[rows, columns])


def _sheared(shape: tuple[int, ...], slope: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The row and the column where each pixel comes to lie when lines of a slope are made level."""
    columns = np.broadcast_to(np.arange(shape[1]), shape)
    rows = np.arange(shape[0])[:, None] - np.rint(slope * columns).astype(np.intp)
    return np.asarray(rows - rows.min()), columns


def _without_upright_lines(ink: Ink, own: Mask, slope: float) -> Ink | None:
    """The same for level lines across, and lines down at right angles to what they were before."""
    height, width = own.shape
    across, down = find_offsets(own, 0.0), find_offsets(own.T, -slope)
    is_box = len(across) >= 2 and len(down) >= 2
    is_comb = len(across) >= 1 and width >= _COMB * height
    if not is_box and not is_comb:
        return None
    thickness = max(line_thickness(own, 0.0, float(offset)) for offset in across)
    if thickness > max(_MAX_THICKNESS * (min(own.shape) if is_box else width), 3):
        return None
    rest = _clear(ink, own, 0.0, across)
    if not is_box:
        return _without_scraps(rest, height, _SCRAP * thickness)
    return _without_scraps(_clear(rest.T, own.T, -slope, down).T, _SCRAP * thickness, _SCRAP * thickness)


def _clear(ink: Ink, own: Mask, slope: float, offsets: NDArray[np.intp]) -> Ink:
    cleared, mask = np.array(ink, order="C"), np.ascontiguousarray(own)
    for offset in offsets:
        clear_line(cleared, mask, slope, float(offset))
    return cleared


def _without_scraps(ink: Ink, height: float, width: float) -> Ink:
    """The ink without what is left of a box's corners or a comb's teeth: fragments up to a height and a width."""
    labels, _ = ndimage.label(ink > _INK, _EIGHT_CONNECTED)
    rest = ink.copy()
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        if rows.stop - rows.start <= height and columns.stop - columns.start <= width:
            rest[rows, columns][labels[rows, columns] == number] = 0
    return rest
