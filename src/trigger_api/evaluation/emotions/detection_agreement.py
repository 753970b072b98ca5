"""Whether a model that looks at whole photos finds the faces that MTCNN finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import read_pixels
from trigger_api.evaluation.emotions.scores import BATCH, overlap
from trigger_api.media.image import Pixels
from trigger_api.media.letterbox import letterbox
from trigger_api.model_card import ModelCard, read_card
from trigger_api.runtimes import LoadOptions, load
from trigger_api.scheduler import CompiledFunction
from trigger_api.tasks.emotions.task import read

SURE = 0.95
"""Confidence from which MTCNN's faces must be found; a fainter one may be, and counts neither way."""
SAME = 0.5
"""Overlap from which two boxes are one face."""

Boxes = NDArray[np.float32]
"""``(n, 5)``: left, top, right, bottom in pixels of the photo, and the score."""


@dataclass(frozen=True)
class Agreement:
    """Counts over all photos: sure faces of MTCNN's, those of them found, and answers that are no face of MTCNN's."""

    faces: int
    found: int
    extra: int
    photos: int

    def figures(self) -> dict[str, Any]:
        """Counts, and percent of the sure faces."""
        shares = [round(100 * count / max(self.faces, 1), 2) for count in (self.found, self.extra)]
        counts = {"photos": self.photos, "faces": self.faces, "found": self.found, "extra": self.extra}
        return {**counts, "found, percent": shares[0], "extra, percent": shares[1]}


def compare_with_mtcnn(photos: Path, model: Path, threshold: float | None = None) -> Agreement:
    """Compare what a model folder finds on the photos of a folder with what the package ``mtcnn`` finds.

    ``threshold`` is the score from which an answer counts, the card's if not given.

    Raises:
        OSError: a file cannot be read.
        ServiceError: a photo cannot be decoded.
    """
    from mtcnn import MTCNN

    card = read_card(model)
    function = load(model, card, LoadOptions(intra_op_threads=2)).compile(card.inputs, BATCH)
    pixels = [read_pixels(path) for path in sorted(photos.iterdir()) if path.suffix.lower() in _PICTURES]
    detector = MTCNN()
    wanted = [mtcnn_boxes(detector.detect_faces(photo)) for photo in pixels]
    found = find_all(pixels, card, function)
    least = threshold if threshold is not None else card.decision.threshold if card.decision else 0.5
    return agreement(wanted, found, least)


_PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def mtcnn_boxes(faces: Sequence[Mapping[str, Any]]) -> Boxes:
    """From the package's answer."""
    rows = [(x, y, x + w, y + h, face["confidence"]) for face in faces for x, y, w, h in [face["box"]]]
    return np.array(rows, np.float32).reshape(-1, 5)


def find_all(photos: Sequence[Pixels], card: ModelCard, function: CompiledFunction) -> list[Boxes]:
    """What is found on each photo, by the way that serves."""
    side = card.inputs[0].shape[0]
    found: list[Boxes] = []
    for start in range(0, len(photos), BATCH):
        some = photos[start : start + BATCH]
        part = [letterbox(photo, side) for photo in some]
        images = np.stack([image for image, _ in part] + [part[-1][0]] * (BATCH - len(part)))
        answer = function({"image": images})
        for number, (photo, (_, laid)) in enumerate(zip(some, part, strict=True)):
            seen = read({name: x[number] for name, x in answer.items()}, 0.0, laid, photo.shape[:2])
            rows = [(*one.face.box, one.face.score) for one in seen]
            found.append(np.array(rows, np.float32).reshape(-1, 5))
    return found


def agreement(wanted: Sequence[Boxes], found: Sequence[Boxes], threshold: float) -> Agreement:
    """Match each answer, surest first, with the face it overlaps most, if that is still free."""
    faces = hits = extra = 0
    for truth, answers in zip(wanted, found, strict=True):
        free = truth.copy()
        faces += int((truth[:, 4] >= SURE).sum())
        for answer in answers[answers[:, 4] >= threshold]:
            overlaps = overlap(answer[:4], free[:, :4])
            if not len(free) or overlaps.max() < SAME:
                extra += 1
                continue
            best = int(overlaps.argmax())
            hits += int(free[best, 4] >= SURE)
            free = np.delete(free, best, axis=0)
    return Agreement(faces, hits, extra, len(wanted))
