from __future__ import annotations

import numpy as np

from helpers.printed_digits import png, write
from trigger_api.media.image import ImageLimits
from trigger_api.tasks.digits.components import BoundingBox, Component
from trigger_api.tasks.digits.segmentation import Page, find_alternatives, segment


def test_a_picture_becomes_components_in_the_shape_of_the_network() -> None:
    pixels = write("12")
    page, shapes = segment(png(pixels), ImageLimits())
    assert (page.height, page.width, page.scale) == (*pixels.shape[:2], 1)
    assert [shape.shape for shape in shapes] == [(28, 28)] * len(page.components)
    assert len(shapes) == 2


def test_boxes_are_scaled_to_the_picture_and_cover_at_least_one_pixel() -> None:
    page = Page([], width=100, height=50, scale=2.5)
    assert page.to_picture(BoundingBox(2, 4, 10, 20)) == BoundingBox(5, 10, 25, 50)
    assert page.to_picture(BoundingBox(19, 39, 30, 60)) == BoundingBox(48, 98, 50, 100)


def test_only_doubtful_components_have_alternatives() -> None:
    wide = Component(BoundingBox(0, 0, 40, 60), np.ones((40, 60), np.float32))
    near = Component(BoundingBox(0, 62, 40, 70), np.ones((40, 8), np.float32))
    alternatives, shapes = find_alternatives([wide, near], [True, False])
    assert set(alternatives.lattices) == {0}
    assert len(shapes) == len(alternatives.components) > 0
    none, _ = find_alternatives([wide, near], [False, False])
    assert none.components == []
