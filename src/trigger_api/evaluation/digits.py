"""How many labelled digits a model reads correctly: each classified by itself, or found by the full pipeline."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.evaluation import report
from trigger_api.evaluation.report import Table, percent
from trigger_api.evaluation.serving import ServedModel, score_items, serving
from trigger_api.tasks.digits.decoding import CLASSES
from trigger_api.tasks.digits.mnist import normalise
from trigger_api.tasks.digits.task import Digits, DigitsResult

NONE = CLASSES
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Report(report.Report):
    """Predictions for pictures of one digit each.

    Attributes:
        answers: the predicted digit of each picture, ``(n,)``; of the full pipeline, ``NONE`` where it did not find
            exactly one digit.
        rejected: whether a picture was more likely to be no digit, ``(n,)``.
        labels: the true digits, ``(n,)``.
    """

    answers: NDArray[np.int64]
    rejected: NDArray[np.bool_]
    labels: NDArray[np.int64]

    def figures(self) -> dict[str, Any]:
        """Counts, and percentages.

        ``accuracy`` is that of the likeliest digit; ``none`` is the share of rejected pictures; ``strict`` is the
        accuracy when those count as wrong.
        """
        correct = self.answers == self.labels
        return {
            "pictures": len(correct),
            "wrong": int((~correct).sum()),
            "accuracy": percent(correct),
            "none": percent(self.rejected),
            "strict": percent(correct & ~self.rejected),
            "digits": {str(kind): percent(correct[self.labels == kind]) for kind in range(CLASSES)},
        }

    def table(self) -> Table:
        """One row per figure."""
        figures = self.figures()
        rows = [(name, str(figures[name])) for name in ("pictures", "wrong")]
        rows += [(name, f"{figures[name]:.2f} %") for name in ("accuracy", "none", "strict")]
        rows += [(f"accuracy of {kind}", f"{share:.2f} %") for kind, share in figures["digits"].items()]
        return Table(("figure", "value"), rows)


def evaluate_digits(
    images: NDArray[np.uint8], labels: NDArray[np.int64], model: Path, *, full_pipeline: bool = False
) -> Report:
    """Measure a model folder on pictures ``(n, height, width)`` of one digit each, dark on light or light on dark.

    Each picture is normalised as MNIST's are and classified. With ``full_pipeline`` it goes through everything that
    the service does, and is correct if exactly that one digit is found.

    Raises:
        OSError: the model cannot be read.
        ValueError: there are not as many labels as pictures, or the model cannot be served.
    """
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} pictures, but {len(labels)} labels")
    if full_pipeline:
        with serving(model) as served:
            answers = np.array([_only(result) for result in served.predict_all(Digits, map(_png, images))], np.int64)
        return Report(answers, answers == NONE, labels)
    with serving(model, batch=_BATCH // 2) as served:
        scores = _scores(images, served)
    return Report(scores[:, :CLASSES].argmax(axis=1), scores.argmax(axis=1) == NONE, labels)


def _scores(images: Iterable[NDArray[np.uint8]], served: ServedModel) -> NDArray[np.float32]:
    digits, scores = served.card.inputs[0].name, served.card.outputs[0].name
    items = ({digits: normalise(_ink(image))[..., None]} for image in images)
    rows = [output[scores] for output in score_items(served, items, _BATCH)]
    return np.array(rows, np.float32).reshape(-1, CLASSES + 1)


def _ink(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Most of a picture is paper."""
    ink = np.asarray(image / 255, np.float32)
    return 1 - ink if np.median(ink) > 0.5 else ink


def _only(result: DigitsResult) -> int:
    return result.digits[0].value if len(result.digits) == 1 else NONE


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
