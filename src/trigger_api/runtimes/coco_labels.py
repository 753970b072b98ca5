"""The labels of COCO, in the numberings that detectors use."""

from __future__ import annotations

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
)  # fmt: skip
_GAPS = frozenset({0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83})  # category numbers that COCO does not use


def labels(classes: int) -> tuple[str, ...]:
    """Labels for a number of classes: the 80 of COCO, its category numbers from 0 to 90, or otherwise just numbers."""
    if classes == len(COCO):
        return COCO
    if classes == len(COCO) + len(_GAPS):
        names = iter(COCO)
        return tuple("none" if number in _GAPS else next(names) for number in range(classes))
    return tuple(str(number) for number in range(classes))
