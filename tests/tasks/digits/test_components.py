from __future__ import annotations

import numpy as np

from trigger_api.tasks.digits.components import MAX_COMPONENTS, BoundingBox, Component, drop_scraps, find_components


def page(
    *boxes: tuple[int, int, int, int], shape: tuple[int, int] = (100, 200)
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Filled rectangles: top, left, bottom, right."""
    ink = np.zeros(shape, np.float32)
    for top, left, bottom, right in boxes:
        ink[top:bottom, left:right] = 1
    return ink


def boxes_of(*boxes: tuple[int, int, int, int]) -> list[BoundingBox]:
    return sorted((component.box for component in find_components(page(*boxes))), key=lambda box: box.left)


def test_separate_strokes_are_separate_components() -> None:
    assert boxes_of((10, 20, 50, 40), (12, 60, 52, 80)) == [BoundingBox(10, 20, 50, 40), BoundingBox(12, 60, 52, 80)]


def test_a_fragment_is_merged_with_what_it_broke_off() -> None:
    assert boxes_of((20, 20, 60, 40), (15, 22, 18, 45)) == [BoundingBox(15, 20, 60, 45)]


def test_digits_above_each_other_stay_separate() -> None:
    assert len(boxes_of((5, 20, 45, 40), (50, 20, 90, 40))) == 2


def test_specks_are_dropped() -> None:
    assert boxes_of((10, 20, 60, 40), (80, 100, 83, 103)) == [BoundingBox(10, 20, 60, 40)]


def test_a_component_holds_only_its_own_ink() -> None:
    ink = page((20, 20, 60, 30))
    ink[20:60, 36:40] = ink[56:60, 10:40] = 1  # a hook that reaches below
    ink[30:40, 33:35] = 1
    ink[30:40, 32:36] *= 0.2
    components = find_components(ink)
    assert all(component.ink.shape[0] >= component.box.height for component in components)


def test_a_page_full_of_specks_has_no_components() -> None:
    ink = np.zeros((400, 400), np.float32)
    ink[::4, ::4] = 1
    assert find_components(ink) == []
    ink = np.zeros((40 * 8, 40 * 30), np.float32)
    ink.reshape(40, 8, 40, 30)[:, :7, :, :10] = 1
    assert MAX_COMPONENTS < 40 * 40
    assert find_components(ink) == []


def test_blank_paper_has_no_components() -> None:
    assert find_components(np.zeros((50, 50), np.float32)) == []


def test_scraps_of_a_neighbour_are_dropped() -> None:
    component = Component(BoundingBox(0, 0, 40, 40), page((0, 0, 40, 10), (0, 30, 6, 36), shape=(40, 40)))
    rest = drop_scraps(component)
    assert rest.ink[:, :10].all()
    assert not rest.ink[:, 20:].any()
