"""Faces found on labelled photos, through the path that serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from trigger_api.media.boxes import Boxes, iou
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import State
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.faces.task import Faces

OVERLAP = 0.4
"""Intersection over union from which a face is the one that was drawn: people draw smaller boxes, or larger."""

_File = TypeAdapter(dict[str, list[tuple[float, float, float, float]]])


@dataclass(frozen=True)
class Report:
    """How many faces there are on some photos, how many of them were found, and what was found besides.

    Attributes:
        overlap: the mean of those found, intersection over union.
    """

    photos: int
    faces: int
    found: int
    besides: int
    overlap: float

    def figures(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        found = self.found + self.besides
        return {
            "photos": self.photos,
            "faces": self.faces,
            "found": self.found,
            "besides": self.besides,
            "recall": round(self.found / self.faces, 4) if self.faces else None,
            "precision": round(self.found / found, 4) if found else None,
            "mean overlap": round(self.overlap, 3),
        }


def read_boxes(path: Path) -> dict[str, Boxes]:
    """The faces on each photo by its name, ``(n, 4)``: the file has x, y, width and height in pixels.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is of another form.
    """
    photos = _File.validate_json(path.read_bytes())
    return {name: _edges(rows) for name, rows in photos.items()}


def evaluate_faces(photos: Path, boxes: Path, models: Path | None = None) -> Report:
    """Find the faces on labelled photos.

    Args:
        photos: their folder.
        boxes: the faces on them; see ``read_boxes``.
        models: folder of the detector's models instead of the bundled ones.

    Raises:
        OSError: a file cannot be read.
        ValueError: the labels are of another form, or the detector cannot be loaded.
        ServiceError: a photo cannot be taken.
    """
    known = read_boxes(boxes)
    seen = asyncio.run(_seen({name: (photos / name).read_bytes() for name in known}, models))
    pairs = [matched(known[name], seen[name]) for name in known]
    good = [overlap for some in pairs for overlap in some]
    faces, all_seen = (sum(map(len, some.values())) for some in (known, seen))
    return Report(len(known), faces, len(good), all_seen - len(good), float(np.mean(good)) if good else 0.0)


def matched(known: Boxes, seen: Boxes) -> list[float]:
    """The overlaps of faces with what was found, each with one at most, best ones first."""
    table = iou(known, seen)
    found: list[float] = []
    while table.size and (best := float(table.max())) >= OVERLAP:
        row, column = np.unravel_index(table.argmax(), table.shape)
        table[row], table[:, column] = 0, 0
        found.append(best)
    return found


async def _seen(photos: Mapping[str, bytes], models: Path | None) -> dict[str, Boxes]:
    service = Service(Settings(models=models, bundled=models is None), Metrics())
    try:
        for entry in service.registry.versions:
            if entry.card.task == Faces.name:
                service.registry.load(entry)
            if entry.state is State.FAILED:
                raise ValueError(f"{entry.card.name} cannot be loaded: {entry.reason}")
        results = {name: await service.task(Faces).predict(data) for name, data in photos.items()}
    finally:
        await service.close()
    return {name: np.array([face.box for face in result.faces]).reshape(-1, 4) for name, result in results.items()}


def _edges(rows: list[tuple[float, float, float, float]]) -> Boxes:
    boxes = np.array(rows, np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes
