"""Whether a model that sees whole photos finds the faces that MTCNN finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import read_pixels
from trigger_api.evaluation.emotions.scores import BATCH
from trigger_api.evaluation.report import Report, share
from trigger_api.evaluation.serving import score_items, serving
from trigger_api.media.boxes import iou
from trigger_api.media.image import Pixels
from trigger_api.media.letterbox import letterbox
from trigger_api.model_card import ModelCard
from trigger_api.scheduler import CompiledFunction
from trigger_api.tasks.emotions.task import postprocess

MIN_CONFIDENCE = 0.95
"""Confidence from which MTCNN's faces must be found; a less certain one may be, and counts neither way."""
MIN_IOU = 0.5
"""Intersection over union from which two boxes are one face."""

Boxes = NDArray[np.float32]
"""``(n, 5)``: left, top, right, bottom in pixels of the photo, and the score."""

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Agreement(Report):
    """Counts over all photos.

    Attributes:
        faces: those that MTCNN is certain of.
        found: those of them that the model found too.
        extra: the model's detections that match no face of MTCNN's.
    """

    faces: int
    found: int
    extra: int
    photos: int

    def figures(self) -> dict[str, Any]:
        """Counts, and percentages of the certain faces."""
        counts = {"photos": self.photos, "faces": self.faces, "found": self.found, "extra": self.extra}
        shares = {f"{name}, percent": share(counts[name], max(self.faces, 1)) for name in ("found", "extra")}
        return {**counts, **shares}


def compare_with_mtcnn(photos: Path, model: Path, threshold: float | None = None) -> Agreement:
    """Compare what a model folder finds on the photos of a folder with what the package ``mtcnn`` finds.

    ``threshold`` is the score from which a detection counts; the card's if not given.

    Raises:
        OSError: a file cannot be read.
        ValueError: the model cannot be loaded.
        ServiceError: a photo cannot be decoded.
    """
    from mtcnn import MTCNN

    pixels = [read_pixels(path) for path in sorted(photos.iterdir()) if path.suffix.lower() in _SUFFIXES]
    detector = MTCNN()
    wanted = [mtcnn_boxes(detector.detect_faces(photo)) for photo in pixels]
    with serving(model, batch=BATCH // 4) as served:
        card = served.card
        found = find_all(pixels, card, served)
    least = threshold if threshold is not None else card.decision.threshold if card.decision else 0.5
    return agreement(wanted, found, least)


def mtcnn_boxes(faces: Sequence[Mapping[str, Any]]) -> Boxes:
    """The package's answer as boxes."""
    rows = [(x, y, x + w, y + h, face["confidence"]) for face in faces for x, y, w, h in [face["box"]]]
    return np.array(rows, np.float32).reshape(-1, 5)


def find_all(photos: Sequence[Pixels], card: ModelCard, score: CompiledFunction) -> list[Boxes]:
    """Detect the faces on each photo, by a served model or a function for batches of ``BATCH``."""
    side = card.inputs[0].shape[0]
    canvases, sizes = tee(letterbox(photo, side) for photo in photos)
    outputs = score_items(score, ({"image": canvas} for canvas, _ in canvases), BATCH)
    return [
        _boxes([(*each.face.box, each.face.score) for each in postprocess(output, 0.0, size, photo.shape[:2])])
        for output, (_, size), photo in zip(outputs, sizes, photos, strict=True)
    ]


def agreement(wanted: Sequence[Boxes], found: Sequence[Boxes], threshold: float) -> Agreement:
    """Match each detection, highest score first, with the face that it overlaps most, if that is still free."""
    faces = hits = extra = 0
    for truth, detections in zip(wanted, found, strict=True):
        free = truth.astype(np.float64)
        faces += int((truth[:, 4] >= MIN_CONFIDENCE).sum())
        for detection in detections[detections[:, 4] >= threshold]:
            overlaps = iou(detection[None, :4], free[:, :4])[0]
            if not len(free) or overlaps.max() < MIN_IOU:
                extra += 1
                continue
            best = int(overlaps.argmax())
            hits += int(free[best, 4] >= MIN_CONFIDENCE)
            free = np.delete(free, best, axis=0)
    return Agreement(faces, hits, extra, len(wanted))


def _boxes(rows: Sequence[tuple[float, ...]]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 5)
