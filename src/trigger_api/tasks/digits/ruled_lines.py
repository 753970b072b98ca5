"""Ruled and squared paper: lines from edge to edge, taken out where no stroke crosses them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.digits.binarization import Sheet
from trigger_api.tasks.digits.mnist import Ink

_LEAST_SIDE = 48  # pixels: a smaller picture is of one digit
_STEEPEST = 12.0  # degrees
_COVERED = 0.75  # of the width
_MOST_RULES = 200
_REACH = 12  # pixels around a rule that may belong to it
_BROADEST = 8  # pixels: a broader band is a shade, or an edge
_CORE = 2  # pixels above and below a rule's middle, where it is darkest
_DARKER = 0.3  # a stroke's ink, against a rule's
_PIXEL = 0.1  # ink from which a pixel counts


def without_rules(sheet: Sheet) -> Ink:
    """The ink that is no rule, neither along the rows nor along the columns."""
    if min(sheet.ink.shape) < _LEAST_SIDE:
        return sheet.ink
    mask = sheet.traces | (sheet.ink > _PIXEL)
    rows = _removed(sheet.ink, mask)
    return np.ascontiguousarray(_removed(np.ascontiguousarray(rows.T), np.ascontiguousarray(mask.T)).T)


def _removed(ink: Ink, mask: NDArray[np.bool_]) -> Ink:
    slope, offsets = _find(mask)
    if not len(offsets):
        return ink
    cleared = ink.copy()
    for offset in offsets:
        _remove(cleared, mask, slope, float(offset))
    return cleared


def _find(mask: NDArray[np.bool_]) -> tuple[float, NDArray[np.intp]]:
    """The slope that rules have in common, and the row where each begins."""
    ys, xs = np.nonzero(mask)
    if len(xs) < _COVERED * mask.shape[1]:
        return 0.0, np.empty(0, np.intp)
    thinned = slice(None, None, max(1, len(xs) // 20_000))
    coarse = np.tan(np.deg2rad(np.arange(-_STEEPEST, _STEEPEST + 0.1, 0.25)))
    slope = _steepest(ys[thinned], xs[thinned], coarse)
    fine = slope + np.tan(np.deg2rad(np.arange(-0.25, 0.26, 0.025)))
    slope = _steepest(ys[thinned], xs[thinned], fine)
    return slope, _offsets(mask, slope)


def _steepest(ys: NDArray[np.intp], xs: NDArray[np.intp], slopes: NDArray[np.float64]) -> float:
    """The slope along which pixels gather most."""
    gathered = [np.square(np.bincount(_rows(ys, xs, slope))).sum() for slope in slopes]
    return float(slopes[int(np.argmax(gathered))])


def _rows(ys: NDArray[np.intp], xs: NDArray[np.intp], slope: float) -> NDArray[np.intp]:
    rows = np.rint(ys - slope * xs).astype(np.intp)
    return np.asarray(rows - rows.min())


def _offsets(mask: NDArray[np.bool_], slope: float) -> NDArray[np.intp]:
    """Rows at the left edge from which a line of ink crosses the whole picture, one for each rule."""
    height, width = mask.shape
    drift = np.rint(slope * np.arange(width)).astype(np.intp)
    starts = np.arange(-max(drift.max(), 0), height - min(drift.min(), 0))
    rows = starts[:, None] + drift
    inside = (rows >= 0) & (rows < height)
    covered = (mask[rows.clip(0, height - 1), np.arange(width)] & inside).sum(axis=1)
    full = (covered >= _COVERED * inside.sum(axis=1)) & (inside.sum(axis=1) >= _COVERED * width)
    # Neighbours are one rule: its middle stands for it.
    edges = np.flatnonzero(np.diff(np.pad(full.astype(np.int8), 1)))
    middles = (edges[::2] + edges[1::2] - 1) // 2
    return np.asarray(starts[middles[:_MOST_RULES]], np.intp)


def _remove(ink: Ink, mask: NDArray[np.bool_], slope: float, offset: float) -> None:
    """Clear a rule in each column, but where a stroke lies on it: the ink there is much longer, or darker."""
    height, width = mask.shape
    columns = np.arange(width)
    middle = np.rint(offset + slope * columns).astype(np.intp)
    around = middle[:, None] + np.arange(-_REACH, _REACH + 1)
    inside = (around >= 0) & (around < height)
    near = mask[around.clip(0, height - 1), columns[:, None]] & inside
    above, below = _run(near[:, _REACH::-1]), _run(near[:, _REACH:])
    length = above + below - 1
    on = (above > 0) & (below > 0)
    usual = np.median(length[on]) if on.any() else np.inf
    if usual > _BROADEST:
        return
    core = around[:, _REACH - _CORE : _REACH + _CORE + 1].clip(0, height - 1)
    dark = ink[core, columns[:, None]].max(axis=1)
    rule = on & (length <= 1.4 * usual + 1) & (dark <= np.median(dark[on]) + _DARKER)
    for step in range(-_REACH, _REACH + 1):
        part = rule & (-step < above) & (step < below) & inside[:, step + _REACH]
        ink[(middle + step)[part], columns[part]] = 0


def _run(near: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many are set in a row, from the first on."""
    return np.asarray(np.where(near.all(axis=1), near.shape[1], np.argmin(near, axis=1)), np.intp)
