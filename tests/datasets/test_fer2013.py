from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from trigger_api.datasets.fer2013 import LABELS, SIDE, read_split

CLASSES = np.array(["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"])


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """Two rows of three faces, each of one grey."""
    greys = np.arange(6, dtype=np.uint8).reshape(2, 1, 3, 1).repeat(SIDE, axis=1).repeat(SIDE, axis=3)
    PIL.Image.fromarray(greys.reshape(2 * SIDE, 3 * SIDE)).save(tmp_path / "sheet.png")
    return tmp_path / "sheet.png"


def labels(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "labels.npz", classes=CLASSES, y_some=np.array([3, 0, 5, 6, 2], np.uint8), **arrays)
    return folder / "labels.npz"


def test_a_sheet_is_read_row_by_row_and_its_empty_end_is_left(sheet: Path, tmp_path: Path) -> None:
    split = read_split(sheet, labels(tmp_path), "some")
    assert split.faces[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert [LABELS[number] for number in split.labels] == ["happy", "angry", "surprised", "neutral", "fear"]
    assert split.votes.shape == (5, 0)


def test_votes_are_shares_and_count_where_they_are_exact(sheet: Path, tmp_path: Path) -> None:
    votes = np.zeros((5, 10), np.uint8)
    votes[:, 1], votes[:, 4] = 6, 2
    exact = np.array([True, True, False, True, True])
    split = read_split(sheet, labels(tmp_path, ferplus_some=votes, exact_some=exact), "some")
    assert split.votes[0].tolist() == [0, 0.75, 0, 0, 0.25, 0, 0, 0, 0, 0]
    assert not split.votes[2].any()


def test_what_does_not_fit_is_told(sheet: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no array named y_other"):
        read_split(sheet, labels(tmp_path), "other")
    np.savez(tmp_path / "labels.npz", classes=CLASSES, y_many=np.zeros(7, np.uint8))
    with pytest.raises(ValueError, match=r"6 faces, but labels\.npz has 7 labels"):
        read_split(sheet, tmp_path / "labels.npz", "many")
    np.savez(tmp_path / "labels.npz", classes=np.array(["bored"]), y_some=np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="classes other than"):
        read_split(sheet, tmp_path / "labels.npz", "some")
    with pytest.raises(ValueError, match="votes for some"):
        read_split(sheet, labels(tmp_path, ferplus_some=np.zeros((3, 10))), "some")
    PIL.Image.new("RGB", (SIDE, SIDE)).save(sheet)
    with pytest.raises(ValueError, match="not a greyscale sheet"):
        read_split(sheet, labels(tmp_path), "some")
