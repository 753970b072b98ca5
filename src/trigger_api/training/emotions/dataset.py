"""Which faces are trained on, and which are held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import Faces, Split


def clean(split: Split, tests: Iterable[Faces]) -> Split:
    """Leave out test faces, blank faces, copies, and every face that occurs under two labels."""
    forbidden = {face.tobytes() for faces in tests for face in faces}
    rows = defaultdict[bytes, list[int]](list)
    for row, face in enumerate(split.faces):
        rows[face.tobytes()].append(row)
    kept = [
        same[0]
        for face, same in rows.items()
        if face not in forbidden and len(set(split.labels[same])) == 1 and np.ptp(split.faces[same[0]])
    ]
    return split[np.array(sorted(kept), np.intp)]


def hold_out(split: Split, count: int, seed: int = 0) -> tuple[Split, Split]:
    """Split at random into faces to train on, and so many for validation."""
    order: NDArray[np.intp] = np.random.default_rng(seed).permutation(len(split.labels))
    return split[np.sort(order[count:])], split[np.sort(order[:count])]
