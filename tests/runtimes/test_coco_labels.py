from __future__ import annotations

from trigger_api.runtimes.coco_labels import COCO, labels


def test_labels_by_their_number() -> None:
    assert labels(80) == COCO
    assert labels(2) == ("0", "1")


def test_cocos_own_numbers() -> None:
    named = labels(91)
    assert (named[1], named[13], named[17], named[44], named[90]) == (
        "person", "stop sign", "cat", "bottle", "toothbrush",
    )  # fmt: skip
    assert [label for label in named if label != "none"] == list(COCO)
