"""MTCNN's boxes: P-Net's proposals, bounding-box regression, and landmarks. Shapes as in ``media.boxes``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trigger_api.media.boxes import Boxes, Scores, fast_nms
from trigger_api.tasks.faces.pyramid import RECEPTIVE_FIELD, STRIDE

_MAX_PER_LEVEL = 1024  # by score: more would cost time quadratically, and find nothing


def proposals(scores: Scores, offsets: NDArray[np.float32], scale: float, threshold: float) -> tuple[Boxes, Scores]:
    """What P-Net proposes at one level of the pyramid, after non-maximum suppression.

    Args:
        scores: P-Net's output there, ``(rows, columns)``.
        offsets: the same for the edges, ``(4, rows, columns)``.
        scale: of the level: its pixels per pixel of the photo.
        threshold: scores above it are proposals.

    Returns:
        Boxes in the photo's pixels and their scores, highest first.
    """
    rows, columns = np.nonzero(scores > threshold)
    order = np.argsort(-scores[rows, columns], kind="stable")[:_MAX_PER_LEVEL]
    rows, columns = rows[order], columns[order]
    # Off by one, as the networks were trained.
    fields = STRIDE * np.stack([columns, rows, columns, rows], axis=1) + [1, 1, RECEPTIVE_FIELD, RECEPTIVE_FIELD]
    boxes = (fields + (RECEPTIVE_FIELD - 1) * offsets[:, rows, columns].T) / scale
    kept = fast_nms(boxes, 0.5)
    return boxes[kept], scores[rows, columns][kept]


def square_boxes(boxes: Boxes) -> Boxes:
    """Squares around the same centres, as large as the longer sides."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    longest = sizes.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + (sizes - longest) / 2
    return np.concatenate([corner, corner + longest], axis=1)


def regress_boxes(boxes: Boxes, offsets: NDArray[np.float32]) -> Boxes:
    """Boxes with their edges moved by offsets ``(n, 4)``, which are fractions of their sides."""
    sizes = boxes[:, 2:] - boxes[:, :2] + 1
    return np.asarray(boxes + offsets * np.concatenate([sizes, sizes], axis=1))


def place_landmarks(boxes: Boxes, landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Landmarks in pixels, ``(n, 5, 2)``, x before y.

    ``landmarks`` are O-Net's, ``(n, 10)``: fractions of the boxes' sides, five x, then five y.
    """
    sizes = boxes[:, 2:] - boxes[:, :2] + 1
    return sizes[:, None] * landmarks.reshape(-1, 2, 5).transpose(0, 2, 1) + boxes[:, None, :2] - 1


def clip_boxes(boxes: Boxes, height: int, width: int) -> Boxes:
    """Boxes clipped to the pixels of a photo."""
    return np.asarray(np.minimum(boxes.clip(0), np.array([width, height] * 2) - 1))


def join_levels(levels: Sequence[tuple[Boxes, Scores]]) -> tuple[Boxes, Scores]:
    """The boxes of all levels of a pyramid, highest score first."""
    boxes = np.concatenate([boxes for boxes, _ in levels])
    scores = np.concatenate([scores for _, scores in levels])
    order = np.argsort(-scores, kind="stable")
    return boxes[order], scores[order]
