"""Which faces are learned from, and which choose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import Faces, Split


def cleaned(split: Split, tests: Iterable[Faces]) -> Split:
    """Without faces of the test sets, without blank ones, and each face once: none of it where its labels differ."""
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


def parted(split: Split, held_out: int, seed: int = 0) -> tuple[Split, Split]:
    """Those to learn from, and as many as wanted that are held out."""
    order: NDArray[np.intp] = np.random.default_rng(seed).permutation(len(split.labels))
    return split[np.sort(order[held_out:])], split[np.sort(order[:held_out])]
