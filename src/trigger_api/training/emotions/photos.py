"""Real photos for the detector to learn on: MTCNN says where faces are on them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import read_pixels
from trigger_api.errors import ServiceError
from trigger_api.evaluation.emotions.detection_agreement import Boxes, mtcnn_boxes
from trigger_api.training.loop import Say

LONGEST = 480
"""Pixels that a photo's longer side is brought down to."""


def look_for_faces(folders: Iterable[Path], kept: Path, say: Say) -> dict[str, tuple[NDArray[np.uint8], Boxes]]:
    """Every readable photo of some folders, in grey, at most ``LONGEST`` pixels long, with MTCNN's boxes.

    ``kept`` is an npz file that keeps the boxes for another time. MTCNN is the package ``mtcnn``.
    """
    photos = dict(_photos(folders, say))
    known = dict(np.load(kept)) if kept.exists() else {}
    if set(known) != set(photos):
        known = _asked(photos)
        np.savez_compressed(kept, **known)  # type: ignore[arg-type]
        say(f"{sum(map(len, known.values()))} faces on {len(photos)} photos")
    return {name: (np.asarray(photo.convert("L")), known[name]) for name, photo in photos.items()}


def _photos(folders: Iterable[Path], say: Say) -> Iterable[tuple[str, PIL.Image.Image]]:
    for path in sorted(path for folder in folders for path in folder.iterdir() if path.is_file()):
        try:
            photo = PIL.Image.fromarray(read_pixels(path))
        except ServiceError as error:
            say(f"{path.name}: {error}")
            continue
        photo.thumbnail((LONGEST, LONGEST), PIL.Image.Resampling.BILINEAR)
        yield path.name, photo


def _asked(photos: dict[str, PIL.Image.Image]) -> dict[str, Boxes]:
    from mtcnn import MTCNN

    detector = MTCNN()
    return {name: mtcnn_boxes(detector.detect_faces(np.asarray(photo))) for name, photo in photos.items()}
