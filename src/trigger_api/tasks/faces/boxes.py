"""Boxes ``(n, 4)``, float64: left, top, right and bottom in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trigger_api.media.boxes import Boxes, Scores, fast_nms
from trigger_api.tasks.faces.pyramid import CELL, STRIDE

_MOST_OF_A_LEVEL = 1024  # by score: what is beyond costs time by its square, and finds nothing


def proposals(scores: Scores, offsets: NDArray[np.float32], scale: float, threshold: float) -> tuple[Boxes, Scores]:
    """What P-Net proposes on one size of the photo: its answers there are ``(rows, columns)``, ``(4, rows, columns)``.

    Returns:
        Boxes in the photo's pixels, which is ``1 / scale`` times as large, and their scores, highest first; overlapping
        ones are dropped.
    """
    rows, columns = np.nonzero(scores > threshold)
    order = np.argsort(-scores[rows, columns], kind="stable")[:_MOST_OF_A_LEVEL]
    rows, columns = rows[order], columns[order]
    edges = STRIDE * np.stack([columns, rows, columns, rows], axis=1) + [1, 1, CELL, CELL]  # as it was taught
    boxes = (edges + (CELL - 1) * offsets[:, rows, columns].T) / scale
    kept = fast_nms(boxes, 0.5)
    return boxes[kept], scores[rows, columns][kept]


def squared(boxes: Boxes) -> Boxes:
    """Squares around the same centres, as large as the longer sides."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    longest = sizes.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + (sizes - longest) / 2
    return np.concatenate([corner, corner + longest], axis=1)


def moved(boxes: Boxes, offsets: NDArray[np.float32]) -> Boxes:
    """Boxes with their edges moved by shares of their sides."""
    sizes = boxes[:, 2:] - boxes[:, :2] + 1
    return np.asarray(boxes + offsets * np.concatenate([sizes, sizes], axis=1))


def points(boxes: Boxes, shares: NDArray[np.float32]) -> Boxes:
    """Points ``(n, 5, 2)``, x before y, from shares ``(n, 10)`` of their boxes' sides: five x, then five y."""
    sizes = boxes[:, 2:] - boxes[:, :2] + 1
    return sizes[:, None] * shares.reshape(-1, 2, 5).transpose(0, 2, 1) + boxes[:, None, :2] - 1


def within(boxes: Boxes, height: int, width: int) -> Boxes:
    """Boxes cut off at the photo's last pixels."""
    return np.asarray(np.minimum(boxes.clip(0), np.array([width, height] * 2) - 1))


def joined(parts: Sequence[tuple[Boxes, Scores]]) -> tuple[Boxes, Scores]:
    """Boxes of all sizes of a photo, highest score first."""
    boxes = np.concatenate([boxes for boxes, _ in parts])
    scores = np.concatenate([scores for _, scores in parts])
    order = np.argsort(-scores, kind="stable")
    return boxes[order], scores[order]
