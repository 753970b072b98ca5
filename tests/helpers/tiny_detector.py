"""An object model without weights, which finds a red square."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
from fastapi import FastAPI

from trigger_api.app import create_app
from trigger_api.model_card import Limits, ModelCard, TensorSpec, write_card
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.settings import Settings
from trigger_api.tasks.objects.task import BOXES, CLASSES, LIMITS, PHOTO, SCORES, SIZE

SIDE, FOUND = 64, 4

CARD = ModelCard(
    task="objects",
    name="squares",
    version="2",
    labels=("circle", "square"),
    inputs=(
        TensorSpec(name=PHOTO, shape=(SIDE, SIDE, 3), dtype="uint8"),
        TensorSpec(name=SIZE, shape=(2,), dtype="int32"),
        TensorSpec(name=LIMITS, shape=(4,)),
    ),
    outputs=(
        TensorSpec(name=BOXES, shape=(FOUND, 4)),
        TensorSpec(name=SCORES, shape=(FOUND,)),
        TensorSpec(name=CLASSES, shape=(FOUND,), dtype="int32"),
    ),
    limits=Limits(batch_sizes=(1, 2)),
)

SQUARE = {
    "label": "square",
    "score": 0.75,
    "box": {"x": 20, "y": 0, "width": 20, "height": 20},
    "normalized": {"x": 0.5, "y": 0.0, "width": 0.5, "height": 1.0},
}
"""What an answer says of the square."""


class SquareDetector:
    """Finds what is red, with a score of 0.75, if the limits allow it; records the limits."""

    def __init__(self) -> None:
        self.limits: list[list[float]] = []

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """A function for batches of this size."""

        def run(tensors: Tensors) -> Tensors:
            assert tensors[PHOTO].shape == (batch, SIDE, SIDE, 3)
            self.limits.extend(row.tolist() for row in tensors[LIMITS])
            boxes, scores = np.zeros((batch, FOUND, 4), np.float32), np.zeros((batch, FOUND), np.float32)
            for i, (photo, size, limits) in enumerate(zip(*(tensors[x] for x in (PHOTO, SIZE, LIMITS)), strict=True)):
                rows, columns = np.nonzero((photo[..., 0] > 200) & (photo[..., 1] < 60))
                if len(rows) and limits[0] <= 0.75:
                    edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                    boxes[i, 0] = np.array(edges) / [size[1], size[0], size[1], size[0]]
                    scores[i, 0] = 0.75
            return {BOXES: boxes, SCORES: scores, CLASSES: np.ones((batch, FOUND), np.int32)}

        return run


def add_squares(folder: Path) -> None:
    """Write the model folder, without weights."""
    folder.mkdir(parents=True)
    write_card(folder, CARD)


def square_picture(width: int = 40, height: int = 20, *, square: bool = True, kind: str = "PNG") -> bytes:
    """A grey picture with a red square over its right half."""
    picture = PIL.Image.new("RGB", (width, height), (120, 120, 120))
    if square:
        PIL.ImageDraw.Draw(picture).rectangle((width // 2, 0, width - 1, height - 1), (255, 0, 0))
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def objects_app(folder: Path, model: SquareDetector, **settings: Any) -> FastAPI:
    """The application with the square detector alone."""
    add_squares(folder / "models" / "squares")
    made = Settings(models=folder / "models", bundled=False, max_image_pixels=1_000_000, **settings)
    return create_app(made, loader=lambda path, card: model)
