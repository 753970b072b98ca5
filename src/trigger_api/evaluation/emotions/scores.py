"""How well a model tells the emotions of labelled faces: its accuracy, by class, and its calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import ELECTED, LABELS, SIDE, Faces, Split
from trigger_api.evaluation import report
from trigger_api.evaluation.emotions.calibration import calibration_error
from trigger_api.evaluation.report import Table, percent, share
from trigger_api.evaluation.serving import score_items, serving
from trigger_api.media.boxes import iou
from trigger_api.media.letterbox import GREY
from trigger_api.model_card import ModelCard
from trigger_api.scheduler import CompiledFunction
from trigger_api.tasks.emotions.task import FaceEmotion, postprocess

BATCH = 16
_ACROSS = 2  # faces beside each other, and above each other, on the canvas of a model that sees whole photos
_LARGE = 0.55  # width of a face's picture, as a share of its place on the canvas
_WIDE, _HIGH = 0.78, 1.04  # a face's box against its picture's side
_MIN_IOU = 0.5  # of a face's box and a detection, from which they belong together

Probabilities = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Report(report.Report):
    """Predictions for labelled faces.

    Attributes:
        probabilities: ``(n, 7)`` in the order of ``LABELS``, zeros for faces that were not found.
        split: the faces and their labels.
    """

    probabilities: Probabilities
    split: Split

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How many faces of each label (rows) were predicted as each (columns); those not found are left out."""
        table = np.zeros((len(LABELS), len(LABELS)), np.int64)
        found = self.probabilities.any(axis=1)
        np.add.at(table, (self.split.labels[found], self.probabilities.argmax(axis=1)[found]), 1)
        return table

    def figures(self) -> dict[str, Any]:
        """Percentages and counts, overall and by class."""
        found = self.probabilities.any(axis=1)
        correct = (self.probabilities.argmax(axis=1) == self.split.labels) & found
        return {
            "faces": len(correct),
            "accuracy": percent(correct),
            "not found": int((~found).sum()),
            "calibration error": round(100 * calibration_error(self.probabilities, self.split.labels), 2),
            **self._votes(),
            "classes": {label: self._class(number) for number, label in enumerate(LABELS)},
            "confusion": {label: row.tolist() for label, row in zip(LABELS, self.confusion, strict=True)},
        }

    def table(self) -> Table:
        """One row per class."""
        figures = self.figures()
        rows = [
            (label, f"{row['precision']:.1f}", f"{row['recall']:.1f}", str(row["faces"]))
            for label, row in figures["classes"].items()
        ]
        title = (
            f"{figures['accuracy']} % of {figures['faces']} faces; calibration error {figures['calibration error']} %"
        )
        return Table(("class", "precision", "recall", "faces"), rows, title)

    def _class(self, number: int) -> dict[str, Any]:
        confusion, faces = self.confusion, int((self.split.labels == number).sum())
        hits, predicted = int(confusion[number, number]), int(confusion[:, number].sum())
        return {"precision": share(hits, predicted), "recall": share(hits, faces), "faces": faces}

    def _votes(self) -> dict[str, Any]:
        """How often most of the people who were asked again would agree; nothing where nobody was."""
        votes = self.split.votes[:, : len(ELECTED)]
        if not votes.size or not votes.any():
            return {}
        clear = votes.max(axis=1, initial=0) > 0.5
        elected = np.array([LABELS.index(name) for name in ELECTED])[votes.argmax(axis=1)]
        agree = self.probabilities.argmax(axis=1)[clear] == elected[clear]
        return {"agreement with a majority of votes": percent(agree), "faces with such a majority": int(clear.sum())}


def evaluate_emotions(split: Split, model: Path) -> Report:
    """Measure a model folder on labelled faces.

    A classifier sees each face as it is. A model that finds faces itself sees them on grey canvases, four at a time;
    its prediction for a face is that of the detection that overlaps it most, at least by half.

    Raises:
        OSError: the model cannot be read.
        ValueError: it cannot be served.
    """
    with serving(model, batch=BATCH // 4) as served:
        order = [served.card.labels.index(label) for label in LABELS]
        return Report(predict_probabilities(split.faces, served.card, served)[:, order], split)


def predict_probabilities(faces: Faces, card: ModelCard, score: CompiledFunction) -> Probabilities:
    """Probabilities in the card's order, by a served model or a function for batches of ``BATCH``."""
    whole = any(spec.name == "boxes" for spec in card.outputs)
    rows = (_detected if whole else _classified)(faces, card, score)
    return np.array(list(rows)).reshape(-1, len(LABELS))


def _classified(faces: Faces, card: ModelCard, score: CompiledFunction) -> Iterator[Probabilities]:
    side = card.inputs[0].shape[0]
    items = ({"image": _scaled(face, side)[..., None]} for face in faces)
    yield from (output["probabilities"] for output in score_items(score, items, BATCH))


def _detected(faces: Faces, card: ModelCard, score: CompiledFunction) -> Iterator[Probabilities]:
    height, width = card.inputs[0].shape[:2]
    size = round(_LARGE * min(height, width) / _ACROSS)
    corners = _corners(height, width, size)
    groups = [faces[start : start + len(corners)] for start in range(0, len(faces), len(corners))]
    items = ({"image": _canvas(group, corners, size, (height, width))} for group in groups)
    for group, output in zip(groups, score_items(score, items, BATCH), strict=True):
        detections = postprocess(output, 0.0, (height, width), (height, width))
        yield from (_nearest(detections, corner, size) for corner in corners[: len(group)])


def _corners(height: int, width: int, size: int) -> NDArray[np.int64]:
    """Where faces of this size go on a canvas: top and left, ``(4, 2)``."""
    places = [
        (row * height // _ACROSS, column * width // _ACROSS) for row in range(_ACROSS) for column in range(_ACROSS)
    ]
    return np.asarray(np.array(places) + (np.array([height, width]) // _ACROSS - size) // 2)


def _canvas(faces: Faces, corners: NDArray[np.int64], size: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    canvas = np.full((*shape, 3), GREY, np.uint8)
    for face, (top, left) in zip(faces, corners, strict=False):
        canvas[top : top + size, left : left + size] = _scaled(face, size)[..., None]
    return canvas


def _nearest(detections: Sequence[FaceEmotion], corner: NDArray[np.int64], size: int) -> Probabilities:
    """The emotions of the detection that overlaps a face most, if by half; else zeros."""
    down, across = corner + size / 2
    half = np.array([_WIDE, _HIGH]) * size / 2
    box = np.array([[across - half[0], down - half[1], across + half[0], down + half[1]]])
    overlaps = iou(box, np.array([each.face.box for each in detections]).reshape(-1, 4))[0]
    best = int(overlaps.argmax()) if len(detections) else 0
    near = len(detections) > 0 and overlaps[best] >= _MIN_IOU
    return np.array(detections[best].probabilities if near else [0.0] * len(LABELS))


def _scaled(face: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if side == SIDE:
        return face
    return np.asarray(PIL.Image.fromarray(face).resize((side, side), PIL.Image.Resampling.BILINEAR))


def draw_confusion(report: Report, path: Path) -> None:
    """Draw the confusion matrix, in percent of each label's faces.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    confusion = report.confusion
    shares = 100 * confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="labelled")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=40, ha="right")
    axes.set_yticks(range(len(LABELS)), LABELS)
    for row, column in np.ndindex(*shares.shape):
        colour = "white" if shares[row, column] > 55 else "black"
        axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=9)
    figure.savefig(path, dpi=90)
