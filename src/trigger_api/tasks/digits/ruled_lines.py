"""Straight lines from edge to edge, of ruled and squared paper: found, and removed except where strokes cross them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.digits.binarization import Foreground
from trigger_api.tasks.digits.mnist import Ink

_MIN_SIDE = 48  # pixels: a smaller picture shows a single digit
_MAX_DEGREES = 12.0
_COVERAGE = 0.75  # of the width
_MAX_LINES = 200
_REACH = 12  # pixels above and below a line that may belong to it
_MAX_THICKNESS = 8  # pixels: a broader band is a shade, or an edge
_CORE = 2  # pixels above and below the middle of a line, where it is darkest
_DARKER = 0.3  # how much darker than the line a stroke is
_MIN_INK = 0.1  # ink from which a pixel counts


def remove_ruled_lines(foreground: Foreground) -> Ink:
    """The ink without ruled lines, be they horizontal or vertical."""
    if min(foreground.ink.shape) < _MIN_SIDE:
        return foreground.ink
    mask = foreground.traces | (foreground.ink > _MIN_INK)
    rows = _remove_lines(foreground.ink, mask)
    return np.ascontiguousarray(_remove_lines(np.ascontiguousarray(rows.T), np.ascontiguousarray(mask.T)).T)


def _remove_lines(ink: Ink, mask: NDArray[np.bool_]) -> Ink:
    slope, offsets = find_lines(mask)
    if not len(offsets):
        return ink
    cleared = ink.copy()
    for offset in offsets:
        clear_line(cleared, mask, slope, float(offset))
    return cleared


def find_lines(mask: NDArray[np.bool_]) -> tuple[float, NDArray[np.intp]]:
    """The slope that all lines share, and the row at the left edge where each begins."""
    ys, xs = np.nonzero(mask)
    if len(xs) < _COVERAGE * mask.shape[1]:
        return 0.0, np.empty(0, np.intp)
    sample = slice(None, None, max(1, len(xs) // 20_000))
    step = float(np.clip(np.rad2deg(1 / mask.shape[1]), 0.25, 1.0))  # a pixel at the end of a line
    coarse = np.tan(np.deg2rad(np.arange(-_MAX_DEGREES, _MAX_DEGREES + 0.1, step)))
    slope = _best_slope(ys[sample], xs[sample], coarse)
    fine = slope + np.tan(np.deg2rad(np.linspace(-step, step, 21)))
    slope = _best_slope(ys[sample], xs[sample], fine)
    return slope, find_offsets(mask, slope)


def _best_slope(ys: NDArray[np.intp], xs: NDArray[np.intp], slopes: NDArray[np.float64]) -> float:
    """The slope whose projection profile is the most concentrated."""
    concentration = [np.square(np.bincount(_project(ys, xs, slope))).sum() for slope in slopes]
    return float(slopes[int(np.argmax(concentration))])


def _project(ys: NDArray[np.intp], xs: NDArray[np.intp], slope: float) -> NDArray[np.intp]:
    rows = np.rint(ys - slope * xs).astype(np.intp)
    return np.asarray(rows - rows.min())


def find_offsets(mask: NDArray[np.bool_], slope: float) -> NDArray[np.intp]:
    """Rows at the left edge from which a line of ink crosses the whole picture, one for each line."""
    height, width = mask.shape
    drift = np.rint(slope * np.arange(width)).astype(np.intp)
    starts = np.arange(-max(drift.max(), 0), height - min(drift.min(), 0))
    rows = starts[:, None] + drift
    inside = (rows >= 0) & (rows < height)
    covered = (mask[rows.clip(0, height - 1), np.arange(width)] & inside).sum(axis=1)
    full = (covered >= _COVERAGE * inside.sum(axis=1)) & (inside.sum(axis=1) >= _COVERAGE * width)
    return np.asarray(starts[_run_middles(full)[:_MAX_LINES]], np.intp)


def _run_middles(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The middle of every run of set flags: neighbouring rows are one line."""
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return np.asarray((edges[::2] + edges[1::2] - 1) // 2, np.intp)


def clear_line(ink: Ink, mask: NDArray[np.bool_], slope: float, offset: float) -> None:
    """Clear a line of a mask ``(height, width)`` from the ink, in place, except where strokes cross it.

    That is where the ink is much longer across the line, or darker, than it usually is.
    """
    height, width = mask.shape
    columns = np.arange(width)
    around, inside, above, below = _follow(mask, slope, offset)
    middle = around[:, _REACH]
    core = around[:, _REACH - _CORE : _REACH + _CORE + 1].clip(0, height - 1)
    line = _line_columns(above, below, ink[core, columns[:, None]].max(axis=1))
    for step in range(-_REACH, _REACH + 1):
        part = line & (-step < above) & (step < below) & inside[:, step + _REACH]
        ink[(middle + step)[part], columns[part]] = 0


def line_thickness(mask: NDArray[np.bool_], slope: float, offset: float) -> float:
    """How many pixels thick a line of a mask is, in the median of its columns."""
    _, _, above, below = _follow(mask, slope, offset)
    on = (above > 0) & (below > 0)
    return float(np.median((above + below - 1)[on])) if on.any() else 0.0


def _follow(mask: NDArray[np.bool_], slope: float, offset: float) -> tuple[NDArray[Any], ...]:
    """The rows around a line in every column, whether they exist, and how far the mask reaches above and below."""
    height, width = mask.shape
    columns = np.arange(width)
    middle = np.rint(offset + slope * columns).astype(np.intp)
    around = middle[:, None] + np.arange(-_REACH, _REACH + 1)
    inside = (around >= 0) & (around < height)
    near = mask[around.clip(0, height - 1), columns[:, None]] & inside
    return around, inside, _run_length(near[:, _REACH::-1]), _run_length(near[:, _REACH:])


def _line_columns(above: NDArray[np.intp], below: NDArray[np.intp], darkness: Ink) -> NDArray[np.bool_]:
    """The columns in which there is nothing but the line: about as thick and as dark as it usually is."""
    on = (above > 0) & (below > 0)
    thickness = above + below - 1
    usual = np.median(thickness[on]) if on.any() else np.inf
    if usual > _MAX_THICKNESS:
        return np.zeros(on.shape, bool)
    thin = thickness <= 1.4 * usual + 1
    return np.asarray(on & thin & (darkness <= np.median(darkness[on]) + _DARKER), bool)


def _run_length(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many flags of each row are set in a row, from the first one on."""
    return np.asarray(np.where(flags.all(axis=1), flags.shape[1], np.argmin(flags, axis=1)), np.intp)
