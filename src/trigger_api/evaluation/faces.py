"""How many of the faces on labelled photos are found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from trigger_api.evaluation import report
from trigger_api.evaluation.serving import serving
from trigger_api.media.boxes import Boxes, iou
from trigger_api.registry import BUNDLED
from trigger_api.tasks.faces.task import Faces, FacesResult

MIN_IOU = 0.4
"""Intersection over union from which a detection matches a face: people draw smaller boxes, or larger ones."""

_File = TypeAdapter(dict[str, list[tuple[float, float, float, float]]])


@dataclass(frozen=True)
class Report(report.Report):
    """How many faces there are, how many of them were found, and what was found where there is none.

    Attributes:
        mean_iou: of the faces found.
    """

    photos: int
    faces: int
    found: int
    false_positives: int
    mean_iou: float

    def figures(self) -> dict[str, Any]:
        """Counts and proportions; None for a proportion of nothing."""
        detections = self.found + self.false_positives
        return {
            "photos": self.photos,
            "faces": self.faces,
            "found": self.found,
            "false positives": self.false_positives,
            "recall": round(self.found / self.faces, 4) if self.faces else None,
            "precision": round(self.found / detections, 4) if detections else None,
            "mean IoU": round(self.mean_iou, 3),
        }


def read_boxes(path: Path) -> dict[str, Boxes]:
    """Read the faces on each photo by its name, ``(n, 4)``: the file has x, y, width and height in pixels.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has another form.
    """
    photos = _File.validate_json(path.read_bytes())
    return {name: _edges(rows) for name, rows in photos.items()}


def evaluate_faces(photos: Path, boxes: Path, models: Path = BUNDLED / Faces.name) -> Report:
    """Detect the faces on labelled photos.

    Args:
        photos: their folder.
        boxes: the faces on them; see ``read_boxes``.
        models: folder of the detector's models.

    Raises:
        OSError: a file cannot be read.
        ValueError: the labels have another form, or the detector cannot be loaded.
        ServiceError: a photo cannot be decoded.
    """
    known = read_boxes(boxes)
    files = [(photos / name).read_bytes() for name in known]
    with serving(models) as served:
        detected = [_detected(result) for result in served.predict_all(Faces, files)]
    overlaps = [overlap for pair in zip(known.values(), detected, strict=True) for overlap in matched(*pair)]
    faces, detections = sum(map(len, known.values())), sum(map(len, detected))
    mean = float(np.mean(overlaps)) if overlaps else 0.0
    return Report(len(known), faces, len(overlaps), detections - len(overlaps), mean)


def matched(known: Boxes, detected: Boxes) -> list[float]:
    """The overlaps of faces with their detections: at most one for each, the best ones first."""
    table = iou(known, detected)
    overlaps: list[float] = []
    while table.size and (best := float(table.max())) >= MIN_IOU:
        row, column = np.unravel_index(table.argmax(), table.shape)
        table[row], table[:, column] = 0, 0
        overlaps.append(best)
    return overlaps


def _detected(result: FacesResult) -> Boxes:
    return np.array([face.box for face in result.faces]).reshape(-1, 4)


def _edges(rows: list[tuple[float, float, float, float]]) -> Boxes:
    boxes = np.array(rows, np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes
