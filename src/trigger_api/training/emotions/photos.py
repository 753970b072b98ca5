"""Real photos to train the detector on; MTCNN says where their faces are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import read_pixels
from trigger_api.errors import ServiceError
from trigger_api.evaluation.emotions.detection_agreement import Boxes, mtcnn_boxes
from trigger_api.training.loop import Log

MAX_SIDE = 480
"""Longer side that photos are reduced to, pixels."""


def detect_faces(folders: Iterable[Path], cache: Path, log: Log) -> dict[str, tuple[NDArray[np.uint8], Boxes]]:
    """Read every readable photo of some folders: grey, at most ``MAX_SIDE`` pixels long, with MTCNN's boxes.

    ``cache`` is an npz file that keeps the boxes for the next run. MTCNN is the package ``mtcnn``.
    """
    photos = dict(_photos(folders, log))
    known = dict(np.load(cache)) if cache.exists() else {}
    if set(known) != set(photos):
        known = _mtcnn(photos)
        np.savez_compressed(cache, **known)  # type: ignore[arg-type]
        log(f"{sum(map(len, known.values()))} faces on {len(photos)} photos")
    return {name: (np.asarray(photo.convert("L")), known[name]) for name, photo in photos.items()}


def _photos(folders: Iterable[Path], log: Log) -> Iterable[tuple[str, PIL.Image.Image]]:
    for path in sorted(path for folder in folders for path in folder.iterdir() if path.is_file()):
        try:
            photo = PIL.Image.fromarray(read_pixels(path))
        except ServiceError as error:
            log(f"{path.name}: {error}")
            continue
        photo.thumbnail((MAX_SIDE, MAX_SIDE), PIL.Image.Resampling.BILINEAR)
        yield path.name, photo


def _mtcnn(photos: dict[str, PIL.Image.Image]) -> dict[str, Boxes]:
    from mtcnn import MTCNN

    detector = MTCNN()
    return {name: mtcnn_boxes(detector.detect_faces(np.asarray(photo))) for name, photo in photos.items()}
