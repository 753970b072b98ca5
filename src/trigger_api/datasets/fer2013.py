"""Labelled faces on disk: a sheet of greyscale pictures side by side, and arrays of their labels.

A sheet is a greyscale picture of faces of 48 x 48 pixels, row by row; the rest after the last face is ignored. The npz
file has ``classes``, the names that ``y_SPLIT`` indexes, and may have ``ferplus_SPLIT``: how many people voted for each
of ``ferplus_columns``, in rows that only count where ``exact_SPLIT`` is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

LABELS = ("happy", "sad", "surprised", "neutral", "fear", "disgust", "angry")
VOTED = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
"""FER+'s first columns; the others are contempt, unknown and no face."""
SIDE = 48
SYNONYMS = {"surprise": "surprised", "happiness": "happy", "sadness": "sad", "anger": "angry"}
ELECTED = tuple(SYNONYMS.get(name, name) for name in VOTED)
"""The labels of FER+'s columns."""
_PIXELS = 120_000_000  # of a sheet

Faces = NDArray[np.uint8]
"""Shape ``(n, 48, 48)``."""


@dataclass(frozen=True)
class Split:
    """Faces and their labels.

    Attributes:
        labels: indices into ``LABELS``, ``(n,)``.
        votes: shares of people's votes, ``(n, columns)``, zeros where nobody voted; no columns if unknown.
    """

    faces: Faces
    labels: NDArray[np.int64]
    votes: NDArray[np.float32]

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Split:
        """Some of the rows."""
        return Split(self.faces[rows], self.labels[rows], self.votes[rows])


def read_split(sheet: Path, labels: Path, name: str) -> Split:
    """Read one split.

    Raises:
        OSError: a file cannot be read.
        ValueError: it has another form, or the sheet has fewer faces than labels.
    """
    with np.load(labels, allow_pickle=False) as arrays:
        if missing := [key for key in ("classes", f"y_{name}") if key not in arrays]:
            raise ValueError(f"{labels.name} has no array named {' or '.join(missing)}")
        numbers = _renumbered(arrays["classes"].tolist(), arrays[f"y_{name}"], labels.name)
        votes = arrays.get(f"ferplus_{name}", np.zeros((len(numbers), 0)))
        exact = arrays.get(f"exact_{name}", np.ones(len(numbers), np.bool_))
        columns = tuple(arrays.get("ferplus_columns", np.array(VOTED))[: len(VOTED)].tolist())
    faces = read_sheet(sheet)
    if len(faces) < len(numbers):
        raise ValueError(f"{sheet.name} has {len(faces)} faces, but {labels.name} has {len(numbers)} labels for {name}")
    if not len(votes) == len(exact) == len(numbers) or columns != VOTED:
        raise ValueError(f"{labels.name} has votes for {name} that are not FER+'s, or of other faces")
    return Split(faces[: len(numbers)], numbers, _shares(votes * exact[:, None]))


def read_sheet(path: Path) -> Faces:
    """Read all pictures of a sheet, including the empty ones of its last row.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a greyscale picture of complete faces.
    """
    with PIL.Image.open(path) as image:
        width, height = image.size
        if image.mode != "L" or width % SIDE or height % SIDE or width * height > _PIXELS:
            raise ValueError(f"{path.name} is not a greyscale sheet of faces of {SIDE} x {SIDE} pixels")
        tall = np.asarray(image).reshape(height // SIDE, SIDE, width // SIDE, SIDE)
    return tall.transpose(0, 2, 1, 3).reshape(-1, SIDE, SIDE)


def _renumbered(classes: Sequence[str], numbers: NDArray[np.uint8], file: str) -> NDArray[np.int64]:
    """From the file's class numbers to ours."""
    names = [SYNONYMS.get(name, name) for name in classes]
    if set(names) - set(LABELS) or numbers.ndim != 1 or (len(numbers) and numbers.max() >= len(names)):
        raise ValueError(f"{file} has classes other than {', '.join(LABELS)}")
    return np.array([LABELS.index(name) for name in names], np.int64)[numbers]


def _shares(votes: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(votes / votes.sum(axis=1, keepdims=True).clip(1), np.float32)
