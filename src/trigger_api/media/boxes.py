"""Boxes ``(n, 4)``, float64: left, top, right and bottom in pixels. Their overlap, and non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""One box: left, top, right and bottom."""
Boxes = NDArray[np.float64]
Scores = NDArray[np.float32]

_EPSILON = np.float32(1e-9)  # square pixels: boxes without area do not overlap


def fast_nms(boxes: Boxes, threshold: float, *, over_smaller: bool = False) -> NDArray[np.intp]:
    """Fast non-maximum suppression of boxes sorted by score, highest first.

    A box is suppressed by any better one that overlaps it, even if that one is suppressed itself.

    Args:
        boxes: highest score first.
        threshold: overlap above which the worse of two boxes is suppressed.
        over_smaller: how overlap is measured; see ``iou``.

    Returns:
        The indices of the boxes that remain.
    """
    suppressed = np.triu(iou(boxes, over_smaller=over_smaller) > threshold, k=1).any(axis=0)
    return np.flatnonzero(~suppressed)


def nms(boxes: Boxes, threshold: float) -> list[int]:
    """Greedy non-maximum suppression of boxes sorted by score, highest first: the indices of those that remain."""
    overlapping = iou(boxes) > threshold
    kept: list[int] = []
    for i in range(len(boxes)):
        if not overlapping[i, kept].any():
            kept.append(i)
    return kept


def iou(boxes: Boxes, others: Boxes | None = None, *, over_smaller: bool = False) -> NDArray[np.float32]:
    """Intersection over union of all pairs, shape ``(n, m)``; with ``over_smaller``, over the smaller box's area."""
    first = np.asarray(boxes, np.float32)
    second = first if others is None else np.asarray(others, np.float32)
    intersection = _overlap(first, second, 0)
    intersection *= _overlap(first, second, 1)
    areas = [(each[:, 2] - each[:, 0]) * (each[:, 3] - each[:, 1]) for each in (first, second)]
    whole = np.minimum.outer(*areas) if over_smaller else np.add.outer(*areas) - intersection
    intersection /= np.maximum(whole, _EPSILON, out=whole)
    return intersection


def _overlap(first: NDArray[np.float32], second: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The width (axis 0) or height (axis 1) that all pairs have in common."""
    sides: NDArray[np.float32] = np.minimum.outer(first[:, axis + 2], second[:, axis + 2])
    sides -= np.maximum.outer(first[:, axis], second[:, axis])
    return np.maximum(sides, 0, out=sides)
