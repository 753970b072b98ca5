"""Pictures of printed digits, and a model in plain NumPy that recognises them by template matching."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from fastapi import FastAPI
from numpy.typing import NDArray
from scipy import ndimage

from helpers.beep import add_model
from trigger_api.app import create_app
from trigger_api.model_card import Decision, Limits, ModelCard, TensorSpec
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.settings import Settings
from trigger_api.tasks.digits.mnist import normalise

LABELS = (*"0123456789", "none")
_SIMILAR = 0.9  # cosine similarity from which a shape is a digit


def write(*lines: str, size: int = 40, dark: bool = True, margin: int = 30) -> NDArray[np.uint8]:
    """Lines of text on paper, ``(height, width, 3)``."""
    font = PIL.ImageFont.load_default(size)
    width = max(round(font.getlength(line)) for line in lines) + 2 * margin
    image = PIL.Image.new("L", (width, round(1.5 * size * len(lines)) + 2 * margin), 235)
    draw = PIL.ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        draw.text((margin, margin + 1.5 * size * row), line, 40, font)
    pixels = np.asarray(image.convert("RGB"))
    return pixels if dark else 255 - pixels


def png(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def digit(text: str, size: int = 60) -> NDArray[np.float32]:
    """The ink of one printed character."""
    return np.asarray(1 - write(text, size=size)[..., 0] / 255, np.float32).clip(0.1, 1) - np.float32(0.1)


@cache
def _templates() -> NDArray[np.float32]:
    return _blur(np.stack([normalise(digit(label)) for label in LABELS[:10]]))


def _blur(digits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blurred, flat, and of length 1."""
    flat = ndimage.gaussian_filter(digits, (0, 1.2, 1.2)).reshape(len(digits), -1)
    return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True).clip(1e-6), np.float32)


class PrintedDigitsModel:
    """Scores a shape by its similarity to each printed digit. Counts the items of its calls."""

    def __init__(self) -> None:
        self.items = 0

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """A function for batches of this size."""

        def run(tensors: Tensors) -> Tensors:
            digits = tensors["digits"].reshape(batch, 28, 28)
            self.items += int(digits.any(axis=(1, 2)).sum())
            similarity = _blur(digits) @ _templates().T
            scores = np.exp(60 * np.concatenate([similarity, np.full((batch, 1), _SIMILAR)], axis=1))
            return {"scores": np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float32)}

        return run


def add_digits(root: Path) -> Path:
    """Write the folder of a digit model, without weights."""
    card = ModelCard(
        task="digits",
        name="printed",
        version="7",
        labels=LABELS,
        inputs=(TensorSpec(name="digits", shape=(28, 28, 1)),),
        outputs=(TensorSpec(name="scores", shape=(11,)),),
        decision=Decision(threshold=0.5),
        limits=Limits(batch_sizes=(1, 4, 16), queue=256),
    )
    return add_model(root, card)


def digits_app(folder: Path) -> FastAPI:
    """The application with the digit model alone."""
    add_digits(folder / "models")
    settings = Settings(models=folder / "models", bundled=False, auth="open", max_image_pixels=1_000_000)
    return create_app(settings, loader=lambda path, card: PrintedDigitsModel())
