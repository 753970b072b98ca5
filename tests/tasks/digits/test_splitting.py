from __future__ import annotations

import numpy as np

from trigger_api.tasks.digits.components import BoundingBox, Component
from trigger_api.tasks.digits.splitting import best_path, find_candidates, find_cuts, may_be_touching


def touching() -> Component:
    """Two rings, joined by a thin stroke at column 42."""
    rows, columns = np.mgrid[:60, :84]
    rings = [np.abs(np.hypot((rows - 30) / 28, (columns - center) / 17) - 1) < 0.2 for center in (21, 63)]
    ink = np.asarray(rings[0] | rings[1], np.float32)
    ink[28:31, 36:48] = 1
    return Component(BoundingBox(100, 200, 160, 284), ink)


def test_only_wide_components_may_be_touching_digits() -> None:
    assert may_be_touching(touching())
    assert not may_be_touching(Component(BoundingBox(0, 0, 60, 30), np.ones((60, 30), np.float32)))


def test_cuts_are_where_there_is_little_ink() -> None:
    cuts = find_cuts(touching())
    assert cuts[0] == 0
    assert cuts[-1] == 84
    assert any(abs(cut - 42) <= 4 for cut in cuts)


def test_parts_have_their_own_boxes() -> None:
    component = touching()
    parts = find_candidates(component, [0, 42, 84])
    assert set(parts) == {(0, 1), (1, 2)}
    assert parts[1, 2].box.left >= 100 + 42 + 100 - 2
    assert all(100 <= part.box.top < part.box.bottom <= 160 for part in parts.values())


def test_the_best_path_reaches_the_last_cut() -> None:
    scores = {(0, 1): -0.1, (1, 2): -3.0, (0, 2): -2.0, (1, 3): -0.1, (2, 3): -0.1}
    assert best_path(scores, 3) == [(0, 1), (1, 3)]
    assert best_path({(0, 1): -0.1}, 2) == []
