"""The cells of one-stage detectors: three feature maps, of strides 8, 16 and 32, one after the other, row by row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
"""Pixels."""


def cell_counts(side: int) -> list[int]:
    """How many cells each feature map of a picture ``side`` pixels wide and high has."""
    return [(side // stride) ** 2 for stride in STRIDES]


def grid(side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The cells' corners in strides ``(1, cells, 2)``, x before y, and their strides ``(1, cells, 1)`` in pixels."""
    sizes = (np.arange(side // stride) for stride in STRIDES)
    corners = [np.stack(np.meshgrid(size, size), axis=-1).reshape(-1, 2) for size in sizes]
    strides = np.repeat(STRIDES, cell_counts(side))
    return np.concatenate(corners)[None].astype(np.float32), strides[None, :, None].astype(np.float32)
