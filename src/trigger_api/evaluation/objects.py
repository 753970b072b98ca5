"""COCO's average precision, by its own code, of what a model folder finds through the path that serves it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from trigger_api.datasets.coco_json import Photo, chosen, read_labels, read_pixels
from trigger_api.media.image import Pixels
from trigger_api.model_card import ModelCard, read_card
from trigger_api.runtimes import LoadOptions, load
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.tasks.objects.task import DetectedObject, DetectionOptions, prepare, read

# Average precision looks at unlikely boxes too, and at ones that overlap more than a reader would want.
WANTED = DetectionOptions(score=0.01, overlap=0.65, height=0.0, width=0.0, most=100)
BATCH = 8

Things = Mapping[str, Sequence[DetectedObject]]


@dataclass(frozen=True)
class Precision:
    """Average precision, percent: over overlaps of 50 to 95 %, and of 50 %.

    Attributes:
        kinds: the same two by label, with the number of objects, for labels that are on the photos.
    """

    ap: float
    ap50: float
    photos: int
    objects: int
    kinds: dict[str, tuple[float, float, int]]

    def figures(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        kinds = {
            label: {"AP": round(ap, 2), "AP50": round(ap50, 2), "objects": count}
            for label, (ap, ap50, count) in self.kinds.items()
        }
        overall = {"AP": round(self.ap, 2), "AP50": round(self.ap50, 2)}
        return {**overall, "photos": self.photos, "objects": self.objects, "classes": kinds}


def evaluate_objects(photos: Path, labels: Path, model: Path, parts: Sequence[str]) -> Precision:
    """Measure a model folder on the labelled photos of some parts.

    Raises:
        OSError: a file cannot be read.
        ValueError: the labels are of another form, or none of the photos is there.
        ServiceError: a photo cannot be decoded.
    """
    wanted = chosen(read_labels(labels), parts)
    if not wanted:
        raise ValueError(f"{labels.name} names no photo of {', '.join(parts)}")
    card = read_card(model)
    function = load(model, card, LoadOptions(intra_op_threads=2)).compile(card.inputs, BATCH)
    names = list(wanted)
    seen = find_all((read_pixels(photos / name) for name in names), function, card)
    return average_precision(wanted, dict(zip(names, seen, strict=True)), card.labels)


def find_all(photos: Iterable[Pixels], function: CompiledFunction, card: ModelCard) -> list[list[DetectedObject]]:
    """What is on each photo, by a function for batches of eight."""
    found: list[list[DetectedObject]] = []
    for some in _batches(prepare(pixels, card, WANTED).item for pixels in photos):
        tensors = {
            name: np.stack([item[name] for item in (*some, *some[:1] * (BATCH - len(some)))]) for name in some[0]
        }
        outputs = function(tensors)
        found += [read({name: tensor[i] for name, tensor in outputs.items()}, card.labels) for i in range(len(some))]
    return found


def average_precision(photos: Mapping[str, Photo], seen: Things, labels: Sequence[str]) -> Precision:
    """Compare what was seen with what there is. Labels that the model does not know are not asked for."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = _dataset(photos, labels)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        truth.createIndex()
        answers = truth.loadRes(list(_answers(photos, seen, labels)) or [_nothing()])
        evaluation = COCOeval(truth, answers, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return _read(evaluation.eval["precision"], truth.dataset, labels)


def _batches(items: Iterator[Tensors]) -> Iterator[list[Tensors]]:
    while some := list(islice(items, BATCH)):
        yield some


def _dataset(photos: Mapping[str, Photo], labels: Sequence[str]) -> dict[str, Any]:
    annotations = [
        {"image_id": number, "category_id": labels.index(thing.label) + 1, "bbox": list(thing.box),
         "area": thing.box[2] * thing.box[3], "iscrowd": int(thing.iscrowd)}
        for number, photo in enumerate(photos.values())
        for thing in photo.objects
        if thing.label in labels
    ]  # fmt: skip
    return {
        "info": {},
        "images": [{"id": number, "width": x.width, "height": x.height} for number, x in enumerate(photos.values())],
        "annotations": [{"id": number + 1, **row} for number, row in enumerate(annotations)],
        "categories": [{"id": number + 1, "name": label} for number, label in enumerate(labels)],
    }


def _answers(photos: Mapping[str, Photo], seen: Things, labels: Sequence[str]) -> Iterable[dict[str, Any]]:
    for number, (name, photo) in enumerate(photos.items()):
        for thing in seen[name]:
            left, top = thing.left * photo.width, thing.top * photo.height
            box = [left, top, thing.right * photo.width - left, thing.bottom * photo.height - top]
            kind = labels.index(thing.label) + 1
            yield {"image_id": number, "category_id": kind, "bbox": box, "score": thing.score}


def _nothing() -> dict[str, Any]:
    """COCO's code wants one answer at least: one that cannot be right."""
    return {"image_id": 0, "category_id": 1, "bbox": [0, 0, 0, 0], "score": 0.0}


def _read(precision: Any, dataset: dict[str, Any], labels: Sequence[str]) -> Precision:
    """Means over recalls, of every size, with 100 answers a photo; -1 stands for a label that is nowhere."""
    table = precision[:, :, :, 0, -1]
    counts = [0] * len(labels)
    for row in dataset["annotations"]:
        counts[row["category_id"] - 1] += not row["iscrowd"]
    kinds = {
        label: (100 * float(table[:, :, i].mean()), 100 * float(table[0, :, i].mean()), counts[i])
        for i, label in enumerate(labels)
        if counts[i]
    }
    ap, ap50 = (float(np.mean([row[column] for row in kinds.values()])) if kinds else 0.0 for column in (0, 1))
    return Precision(ap, ap50, photos=len(dataset["images"]), objects=sum(counts), kinds=kinds)
