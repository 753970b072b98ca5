"""What a model answers to labelled faces: how often it is right, in which emotions, and how sure it is with reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import ELECTED, LABELS, SIDE, Faces, Split
from trigger_api.evaluation.emotions.calibration import calibration_error
from trigger_api.media.letterbox import GREY
from trigger_api.model_card import ModelCard, read_card
from trigger_api.runtimes import LoadOptions, load
from trigger_api.scheduler import CompiledFunction
from trigger_api.tasks.emotions.task import FaceEmotion, read

BATCH = 16
_ACROSS = 2  # faces beside each other, and above each other, on the canvas of a model that looks at whole photos
_LARGE = 0.55  # of such a place, the share that a face's picture is wide
_WIDE, _HIGH = 0.78, 1.04  # a face's box against its picture's side

Table = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Report:
    """Probabilities ``(n, 7)`` in the order of ``LABELS``, zeros for faces that were not found; and the truth."""

    probabilities: Table
    split: Split

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How many faces of each label (rows) were given each (columns); those not found are left out."""
        table = np.zeros((len(LABELS), len(LABELS)), np.int64)
        found = self.probabilities.any(axis=1)
        np.add.at(table, (self.split.labels[found], self.probabilities.argmax(axis=1)[found]), 1)
        return table

    def figures(self) -> dict[str, Any]:
        """What ``--json`` prints: percent and counts."""
        found = self.probabilities.any(axis=1)
        right = (self.probabilities.argmax(axis=1) == self.split.labels) & found
        return {
            "faces": len(right),
            "accuracy": _percent(right),
            "not found": int((~found).sum()),
            "calibration error": round(100 * calibration_error(self.probabilities, self.split.labels), 2),
            **self._votes(),
            "classes": {label: self._class(number) for number, label in enumerate(LABELS)},
            "confusion": {label: row.tolist() for label, row in zip(LABELS, self.confusion, strict=True)},
        }

    def _class(self, number: int) -> dict[str, Any]:
        table = self.confusion
        faces = int((self.split.labels == number).sum())
        given = int(table[:, number].sum())
        share = [round(100 * int(table[number, number]) / max(count, 1), 2) for count in (given, faces)]
        return {"precision": share[0], "recall": share[1], "faces": faces}

    def _votes(self) -> dict[str, Any]:
        """How often most people who were asked again would agree; nothing where nobody was."""
        votes = self.split.votes[:, : len(ELECTED)]
        if not votes.size or not votes.any():
            return {}
        clear = votes.max(axis=1, initial=0) > 0.5
        elected = np.array([LABELS.index(name) for name in ELECTED])[votes.argmax(axis=1)]
        agree = self.probabilities.argmax(axis=1)[clear] == elected[clear]
        return {"agreement with a majority of votes": _percent(agree), "faces with such a majority": int(clear.sum())}


def evaluate_emotions(split: Split, model: Path) -> Report:
    """Measure a model folder on labelled faces.

    A classifier sees each face as it is. A model that finds faces itself sees them on grey canvases, four at a time,
    and answers for a face with the box that overlaps it most, half at least.

    Raises:
        OSError: the model cannot be read.
        ValueError: it cannot be served.
    """
    card = read_card(model)
    function = load(model, card, LoadOptions(intra_op_threads=2)).compile(card.inputs, BATCH)
    order = [card.labels.index(label) for label in LABELS]
    return Report(answered(split.faces, card, function)[:, order], split)


def answered(faces: Faces, card: ModelCard, function: CompiledFunction) -> Table:
    """Probabilities in the card's order, by a function for batches of ``BATCH``."""
    whole = any(spec.name == "boxes" for spec in card.outputs)
    return (_found if whole else _classified)(faces, card, function)


def _classified(faces: Faces, card: ModelCard, function: CompiledFunction) -> Table:
    side = card.inputs[0].shape[0]
    images = np.stack([_scaled(face, side) for face in faces])[..., None] if len(faces) else faces[..., None]
    parts = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
    seen = [function({"image": _filled(part)})["probabilities"][: len(part)] for part in parts]
    return np.concatenate([*seen, np.zeros((0, len(LABELS)))])


def _found(faces: Faces, card: ModelCard, function: CompiledFunction) -> Table:
    height, width = card.inputs[0].shape[:2]
    places = [
        (row * height // _ACROSS, column * width // _ACROSS) for row in range(_ACROSS) for column in range(_ACROSS)
    ]
    size = round(_LARGE * min(height, width) / _ACROSS)
    corners = np.array(places) + (np.array([height, width]) // _ACROSS - size) // 2
    pages = [
        _page(faces[i : i + len(corners)], corners, size, (height, width)) for i in range(0, len(faces), len(corners))
    ]
    rows: list[Table] = []
    for start in range(0, len(pages), BATCH):
        part = np.stack(pages[start : start + BATCH])
        answer = function({"image": _filled(part)})
        for number in range(len(part)):
            seen = read({name: x[number] for name, x in answer.items()}, 0.0, (height, width), (height, width))
            rows += [_nearest(seen, corner, size) for corner in corners]
    return np.array(rows[: len(faces)]).reshape(-1, len(LABELS))


def _page(faces: Faces, corners: NDArray[np.int64], size: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    page = np.full((*shape, 3), GREY, np.uint8)
    for face, (top, left) in zip(faces, corners, strict=False):
        page[top : top + size, left : left + size] = _scaled(face, size)[..., None]
    return page


def _nearest(seen: Sequence[FaceEmotion], corner: NDArray[np.int64], size: int) -> Table:
    """What is said of the face seen that overlaps this one most: half at least, else zeros."""
    down, across = corner + size / 2
    half = np.array([_WIDE, _HIGH]) * size / 2
    wanted = np.array([across - half[0], down - half[1], across + half[0], down + half[1]])
    overlaps = overlap(wanted, np.array([one.face.box for one in seen]).reshape(-1, 4))
    best = int(overlaps.argmax()) if len(seen) else 0
    near = len(seen) > 0 and overlaps[best] >= 0.5
    return np.array(seen[best].probabilities if near else [0.0] * len(LABELS))


def overlap(box: Table, boxes: Table) -> Table:
    """Intersection over union of a box ``(4,)`` with others ``(n, 4)``: left, top, right, bottom."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = sides.clip(0).prod(axis=1)
    both = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - common
    return np.asarray(common / np.maximum(both, 1e-9))


def _scaled(face: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if side == SIDE:
        return face
    return np.asarray(PIL.Image.fromarray(face).resize((side, side), PIL.Image.Resampling.BILINEAR))


def _filled(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As many as a batch takes, the last one repeated."""
    return images[np.minimum(np.arange(BATCH), len(images) - 1)]


def draw_confusion(report: Report, path: Path) -> None:
    """A picture of the confusion, in percent of each label's faces."""
    from matplotlib.figure import Figure

    table = report.confusion
    shares = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.add_subplot(xlabel="answered", ylabel="labelled")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=40, ha="right")
    axes.set_yticks(range(len(LABELS)), LABELS)
    for row, column in np.ndindex(*shares.shape):
        colour = "white" if shares[row, column] > 55 else "black"
        axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=9)
    figure.savefig(path, dpi=90)


def table_rows(figures: dict[str, Any]) -> Sequence[tuple[str, str, str, str]]:
    """A report's classes, for people."""
    return [
        (label, f"{row['precision']:.1f}", f"{row['recall']:.1f}", str(row["faces"]))
        for label, row in figures["classes"].items()
    ]


def _percent(right: NDArray[np.bool_]) -> float:
    return round(100 * float(right.mean()), 2) if len(right) else 0.0
