"""COCO's average precision, computed by its own code, of what a model folder detects."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trigger_api.datasets.coco_json import Photo, read_labels, read_pixels, select
from trigger_api.evaluation.report import Report, Table
from trigger_api.evaluation.serving import score_items, serving
from trigger_api.media.image import Pixels
from trigger_api.model_card import ModelCard
from trigger_api.scheduler import CompiledFunction
from trigger_api.tasks.objects.task import DetectedObject, DetectionOptions, postprocess, preprocess

# Average precision looks at unlikely boxes too, and at ones that overlap more than a reader would want.
OPTIONS = DetectionOptions(score_threshold=0.01, iou_threshold=0.65, min_height=0.0, min_width=0.0, max_results=100)
BATCH = 8

Detections = Mapping[str, Sequence[DetectedObject]]


@dataclass(frozen=True)
class Precision(Report):
    """Average precision in percent: over overlaps of 50 to 95 %, and at 50 %.

    Attributes:
        classes: the same two by label, with the number of objects, for labels that occur on the photos.
    """

    ap: float
    ap50: float
    photos: int
    objects: int
    classes: dict[str, tuple[float, float, int]]

    def figures(self) -> dict[str, Any]:
        """Average precision and counts, overall and by class."""
        classes = {
            label: {"AP": round(ap, 2), "AP50": round(ap50, 2), "objects": count}
            for label, (ap, ap50, count) in self.classes.items()
        }
        overall = {"AP": round(self.ap, 2), "AP50": round(self.ap50, 2)}
        return {**overall, "photos": self.photos, "objects": self.objects, "classes": classes}

    def table(self) -> Table:
        """One row for all classes together, then one per class."""
        overall = (f"all, on {self.photos} photos", (self.ap, self.ap50, self.objects))
        named = [overall, *self.classes.items()]
        rows = [(label, f"{ap:.1f}", f"{ap50:.1f}", str(count)) for label, (ap, ap50, count) in named]
        return Table(("class", "AP", "AP50", "objects"), rows)


def evaluate_objects(photos: Path, labels: Path, model: Path, parts: Sequence[str]) -> Precision:
    """Measure a model folder on the labelled photos of some parts.

    Raises:
        OSError: a file cannot be read.
        ValueError: the labels have another form, none of the photos is there, or the model cannot be loaded.
        ServiceError: a photo cannot be decoded.
    """
    known = select(read_labels(labels), parts)
    if not known:
        raise ValueError(f"{labels.name} names no photo for {', '.join(parts)}")
    with serving(model, batch=BATCH // 2) as served:
        detected = find_all((read_pixels(photos / name) for name in known), served, served.card)
        return average_precision(known, dict(zip(known, detected, strict=True)), served.card.labels)


def find_all(photos: Iterable[Pixels], score: CompiledFunction, card: ModelCard) -> list[list[DetectedObject]]:
    """Detect the objects on each photo, by a served model or a function for batches of ``BATCH``."""
    items = (preprocess(pixels, card, OPTIONS).item for pixels in photos)
    return [postprocess(output, card.labels) for output in score_items(score, items, BATCH)]


def average_precision(photos: Mapping[str, Photo], detected: Detections, labels: Sequence[str]) -> Precision:
    """Compare what was detected with what there is. Labels that the model does not know are not asked for."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = _ground_truth(photos, labels)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        truth.createIndex()
        detections = truth.loadRes(list(_detections(photos, detected, labels)) or [_placeholder()])
        evaluation = COCOeval(truth, detections, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return _summarised(evaluation.eval["precision"], truth.dataset, labels)


def _ground_truth(photos: Mapping[str, Photo], labels: Sequence[str]) -> dict[str, Any]:
    annotations = [
        {"image_id": number, "category_id": labels.index(each.label) + 1, "bbox": list(each.box),
         "area": each.box[2] * each.box[3], "iscrowd": int(each.iscrowd)}
        for number, photo in enumerate(photos.values())
        for each in photo.objects
        if each.label in labels
    ]  # fmt: skip
    return {
        "info": {},
        "images": [{"id": number, "width": x.width, "height": x.height} for number, x in enumerate(photos.values())],
        "annotations": [{"id": number + 1, **row} for number, row in enumerate(annotations)],
        "categories": [{"id": number + 1, "name": label} for number, label in enumerate(labels)],
    }


def _detections(photos: Mapping[str, Photo], detected: Detections, labels: Sequence[str]) -> Iterable[dict[str, Any]]:
    for number, (name, photo) in enumerate(photos.items()):
        for each in detected[name]:
            left, top = each.left * photo.width, each.top * photo.height
            box = [left, top, each.right * photo.width - left, each.bottom * photo.height - top]
            category = labels.index(each.label) + 1
            yield {"image_id": number, "category_id": category, "bbox": box, "score": each.score}


def _placeholder() -> dict[str, Any]:
    """COCO's code wants at least one detection: one that cannot be right."""
    return {"image_id": 0, "category_id": 1, "bbox": [0, 0, 0, 0], "score": 0.0}


def _summarised(precision: Any, dataset: dict[str, Any], labels: Sequence[str]) -> Precision:
    """Means over recalls: objects of every size, 100 detections per photo; -1 marks a label that never occurs."""
    table = precision[:, :, :, 0, -1]
    counts = [0] * len(labels)
    for row in dataset["annotations"]:
        counts[row["category_id"] - 1] += not row["iscrowd"]
    classes = {
        label: (100 * float(table[:, :, i].mean()), 100 * float(table[0, :, i].mean()), counts[i])
        for i, label in enumerate(labels)
        if counts[i]
    }
    ap, ap50 = (float(np.mean([row[column] for row in classes.values()])) if classes else 0.0 for column in (0, 1))
    return Precision(ap, ap50, photos=len(dataset["images"]), objects=sum(counts), classes=classes)
