"""How many labelled digits a model gets right: each taken as one digit, or found on its picture as the service does."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.observability.metrics import Metrics
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.digits.mnist import normalise
from trigger_api.tasks.digits.task import KINDS, Digits, DigitsResult

NONE = KINDS
_BATCH = 250
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Report:
    """What was answered to each picture, whether it was rather taken for no digit, and what was right.

    Where pictures were searched, ``NONE`` among the answers is no digit found, or more than one.
    """

    answers: NDArray[np.int64]
    refused: NDArray[np.bool_]
    labels: NDArray[np.int64]

    def figures(self) -> dict[str, Any]:
        """Counts, and percent.

        ``accuracy`` is of the likeliest digit; ``none`` are the pictures that are likelier no digit; ``strict`` is the
        accuracy when those count as wrong.
        """
        right = self.answers == self.labels
        return {
            "pictures": len(right),
            "wrong": int((~right).sum()),
            "accuracy": _percent(right),
            "none": _percent(self.refused),
            "strict": _percent(right & ~self.refused),
            "digits": {str(kind): _percent(right[self.labels == kind]) for kind in range(KINDS)},
        }


def evaluate_digits(images: NDArray[np.uint8], labels: NDArray[np.int64], model: Path, *, find: bool = False) -> Report:
    """Measure a model folder on pictures ``(n, height, width)`` of one digit each, dark on light or light on dark.

    Each picture is brought into MNIST's shape and classified as the digit that it is likeliest; with ``find`` it goes
    through all that the service does, and counts as right where that one digit is found and no other.

    Raises:
        OSError: the model cannot be read.
        ValueError: there are not as many labels as pictures, or the model cannot be served.
    """
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} pictures and {len(labels)} labels")
    if find:
        answers = np.asarray(asyncio.run(_found(images, model)), np.int64)
        return Report(answers, answers == NONE, labels)
    scores = _classified(images, model)
    return Report(scores[:, :KINDS].argmax(axis=1), scores.argmax(axis=1) == NONE, labels)


def _classified(images: NDArray[np.uint8], model: Path) -> NDArray[np.float32]:
    import keras
    import tensorflow as tf

    card = read_card(model)
    network = keras.models.load_model(model / WEIGHTS_FILE, compile=False, safe_mode=True)
    taken, given = card.inputs[0].name, card.outputs[0].name
    run = tf.function(lambda digits: network({taken: digits}, training=False)[given], autograph=False)
    scores = []
    for start in range(0, len(images), _BATCH):
        digits = np.stack([normalise(_ink(image)) for image in images[start : start + _BATCH]])
        scores.append(run(tf.constant(digits[..., None])).numpy())
    return np.concatenate(scores)


def _ink(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Paper is what most of a picture is."""
    ink = np.asarray(image / 255, np.float32)
    return 1 - ink if np.median(ink) > 0.5 else ink


async def _found(images: NDArray[np.uint8], model: Path) -> list[int]:
    service = Service(Settings(models=model, bundled=False), Metrics())
    service.load()
    try:
        answers: list[int] = []
        for start in range(0, len(images), _AT_ONCE):
            results = (service.task(Digits).predict(_png(image)) for image in images[start : start + _AT_ONCE])
            answers += [_only(result) for result in await asyncio.gather(*results)]
        return answers
    finally:
        await service.close()


def _only(result: DigitsResult) -> int:
    return result.digits[0].value if len(result.digits) == 1 else NONE


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def table_rows(figures: dict[str, Any]) -> Sequence[tuple[str, str]]:
    """A report's figures, named, for people."""
    rows = [("pictures", str(figures["pictures"])), ("wrong", str(figures["wrong"]))]
    rows += [(name, f"{figures[name]:.2f} %") for name in ("accuracy", "none", "strict")]
    return rows + [(f"right of the {kind}s", f"{share:.2f} %") for kind, share in figures["digits"].items()]


def _percent(right: NDArray[np.bool_]) -> float:
    return round(100 * float(right.mean()), 2) if len(right) else 0.0
