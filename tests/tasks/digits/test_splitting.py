from __future__ import annotations

import numpy as np

from trigger_api.tasks.digits.components import Box, Piece
from trigger_api.tasks.digits.splitting import find_cuts, likeliest, may_be_several, spans


def touching() -> Piece:
    """Two rings that a thin stroke joins at column 42."""
    rows, columns = np.mgrid[:60, :84]
    rings = [np.abs(np.hypot((rows - 30) / 28, (columns - middle) / 17) - 1) < 0.2 for middle in (21, 63)]
    ink = np.asarray(rings[0] | rings[1], np.float32)
    ink[28:31, 36:48] = 1
    return Piece(Box(100, 200, 160, 284), ink)


def test_only_wide_pieces_may_be_several() -> None:
    assert may_be_several(touching())
    assert not may_be_several(Piece(Box(0, 0, 60, 30), np.ones((60, 30), np.float32)))


def test_a_cut_goes_where_little_ink_is() -> None:
    cuts = find_cuts(touching())
    assert cuts[0] == 0
    assert cuts[-1] == 84
    assert any(abs(cut - 42) <= 4 for cut in cuts)


def test_parts_have_their_own_boxes() -> None:
    piece = touching()
    parts = spans(piece, [0, 42, 84])
    assert set(parts) == {(0, 1), (1, 2)}
    assert parts[1, 2].box.left >= 100 + 42 + 100 - 2
    assert all(100 <= part.box.top < part.box.bottom <= 160 for part in parts.values())


def test_the_likeliest_way_covers_all() -> None:
    scores = {(0, 1): -0.1, (1, 2): -3.0, (0, 2): -2.0, (1, 3): -0.1, (2, 3): -0.1}
    assert likeliest(scores, 3) == [(0, 1), (1, 3)]
    assert likeliest({(0, 1): -0.1}, 2) == []
