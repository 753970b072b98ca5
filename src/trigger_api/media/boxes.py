"""Boxes ``(n, 4)``, float64: left, top, right and bottom in pixels. How much they overlap, and which are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
Scores = NDArray[np.float32]

_NOTHING = np.float32(1e-9)  # pixels: boxes without area have nothing in common


def fast_nms(boxes: Boxes, threshold: float, *, least: bool = False) -> NDArray[np.intp]:
    """The boxes, highest score first, that no box before them overlaps, whether that one stays itself or not."""
    beaten = np.triu(iou(boxes, least=least) > threshold, k=1).any(axis=0)
    return np.flatnonzero(~beaten)


def nms(boxes: Boxes, threshold: float) -> list[int]:
    """The boxes, highest score first, that no box before them that stays overlaps (greedy suppression)."""
    rivals = iou(boxes) > threshold
    kept: list[int] = []
    for i in range(len(boxes)):
        if not rivals[i, kept].any():
            kept.append(i)
    return kept


def iou(boxes: Boxes, others: Boxes | None = None, *, least: bool = False) -> NDArray[np.float32]:
    """Intersection over union of all pairs ``(n, m)``, or over the smaller one's area."""
    first = np.asarray(boxes, np.float32)
    second = first if others is None else np.asarray(others, np.float32)
    common = _shared(first, second, 0)
    common *= _shared(first, second, 1)
    areas = [(some[:, 2] - some[:, 0]) * (some[:, 3] - some[:, 1]) for some in (first, second)]
    whole = np.minimum.outer(*areas) if least else np.add.outer(*areas) - common
    common /= np.maximum(whole, _NOTHING, out=whole)
    return common


def _shared(first: NDArray[np.float32], second: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """How much of each other's width (0) or height (1) all pairs have in common."""
    sides: NDArray[np.float32] = np.minimum.outer(first[:, axis + 2], second[:, axis + 2])
    sides -= np.maximum.outer(first[:, axis], second[:, axis])
    return np.maximum(sides, 0, out=sides)
