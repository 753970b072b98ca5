"""Labelled photos: a folder, and a JSON file of the objects on each.

``{"images": {"NAME.jpg": {"width", "height", "objects": [{"label", "box": [x, y, w, h], "iscrowd"}]}}}``; boxes are in
pixels of the photo as stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from trigger_api.media.image import ImageLimits, Pixels, decode

Part = Literal["train", "validation", "held-out"]
PARTS: tuple[Part, ...] = ("train", "validation", "held-out")

_FOLDS: tuple[Part, ...] = ("held-out", "held-out", "validation", "train", "train", "train")


class Labelled(BaseModel):
    """One object; ``iscrowd`` marks a group whose members have no boxes of their own."""

    label: str
    box: tuple[float, float, float, float] = Field(description="x, y, width, height; pixels")
    iscrowd: bool = False


class Photo(BaseModel):
    """One photo's size in pixels, and its objects."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)
    objects: list[Labelled]


class _File(BaseModel):
    images: dict[str, Photo]


def read_labels(path: Path) -> dict[str, Photo]:
    """Read the labels of each photo, by its name.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has another form.
    """
    return _File.model_validate_json(path.read_bytes()).images


def part(name: str) -> Part:
    """What a photo is for, by a hash of its name: half for training, a sixth for validation, a third held out."""
    return _FOLDS[int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(_FOLDS)]


def select(photos: dict[str, Photo], parts: Sequence[str]) -> dict[str, Photo]:
    """The photos of some parts, sorted by name."""
    return {name: photo for name, photo in sorted(photos.items()) if part(name) in parts}


def read_pixels(path: Path) -> Pixels:
    """Read a photo's pixels, ``(height, width, 3)``, upright.

    Raises:
        OSError: the file cannot be read.
        ServiceError: it cannot be decoded.
    """
    return decode(path.read_bytes(), ImageLimits()).pixels
