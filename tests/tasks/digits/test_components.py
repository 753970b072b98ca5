from __future__ import annotations

import numpy as np

from trigger_api.tasks.digits.components import MOST_PIECES, Box, Piece, find_pieces, largest_parts


def page(
    *boxes: tuple[int, int, int, int], shape: tuple[int, int] = (100, 200)
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Filled rectangles: top, left, bottom, right."""
    ink = np.zeros(shape, np.float32)
    for top, left, bottom, right in boxes:
        ink[top:bottom, left:right] = 1
    return ink


def found(*boxes: tuple[int, int, int, int]) -> list[Box]:
    return sorted((piece.box for piece in find_pieces(page(*boxes))), key=lambda box: box.left)


def test_strokes_apart_are_pieces_apart() -> None:
    assert found((10, 20, 50, 40), (12, 60, 52, 80)) == [Box(10, 20, 50, 40), Box(12, 60, 52, 80)]


def test_a_fragment_goes_to_what_it_broke_off() -> None:
    assert found((20, 20, 60, 40), (15, 22, 18, 45)) == [Box(15, 20, 60, 45)]


def test_digits_one_above_the_other_stay_apart() -> None:
    assert len(found((5, 20, 45, 40), (50, 20, 90, 40))) == 2


def test_specks_are_left_out() -> None:
    assert found((10, 20, 60, 40), (80, 100, 83, 103)) == [Box(10, 20, 60, 40)]


def test_a_piece_holds_its_own_ink_alone() -> None:
    ink = page((20, 20, 60, 30))
    ink[20:60, 36:40] = ink[56:60, 10:40] = 1  # a hook that reaches below
    ink[30:40, 33:35] = 1
    ink[30:40, 32:36] *= 0.2
    pieces = find_pieces(ink)
    assert all(piece.ink.shape[0] >= piece.box.height for piece in pieces)


def test_a_page_of_specks_holds_nothing() -> None:
    ink = np.zeros((400, 400), np.float32)
    ink[::4, ::4] = 1
    assert find_pieces(ink) == []
    ink = np.zeros((40 * 8, 40 * 30), np.float32)
    ink.reshape(40, 8, 40, 30)[:, :7, :, :10] = 1
    assert MOST_PIECES < 40 * 40
    assert find_pieces(ink) == []


def test_blank_paper_holds_nothing() -> None:
    assert find_pieces(np.zeros((50, 50), np.float32)) == []


def test_scraps_of_a_neighbour_are_dropped() -> None:
    piece = Piece(Box(0, 0, 40, 40), page((0, 0, 40, 10), (0, 30, 6, 36), shape=(40, 40)))
    left = largest_parts(piece)
    assert left.ink[:, :10].all()
    assert not left.ink[:, 20:].any()
