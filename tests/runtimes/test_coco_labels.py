from __future__ import annotations

from trigger_api.runtimes.coco_labels import COCO, labels


def test_labels_by_the_number_of_classes() -> None:
    assert labels(80) == COCO
    assert labels(2) == ("0", "1")


def test_category_numbers_of_coco() -> None:
    named = labels(91)
    assert (named[1], named[13], named[17], named[44], named[90]) == (
        "person", "stop sign", "cat", "bottle", "toothbrush",
    )  # fmt: skip
    assert [label for label in named if label != "none"] == list(COCO)
