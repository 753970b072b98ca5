"""The card of a trained object model: its sources, and its metrics on held-out photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from trigger_api.evaluation.objects import Precision, evaluate_objects
from trigger_api.model_card import DataSource, read_card, write_card

_SOURCES = (
    DataSource(
        name="YOLOX-Nano (Megvii)",
        licence="Apache-2.0",
        note="the initial weights and the teacher; they were trained on COCO train2017",
    ),
    DataSource(
        name="COCO train2017, 154 photos",
        licence="annotations CC BY 4.0, photos by their Flickr licences",
        note="trained on, not republished",
    ),
    DataSource(
        name="Caltech 101, 816 photos without labels",
        licence="research data set",
        note="labelled by the teacher; trained on, not republished",
    ),
)

_FAILURES = (
    "Small objects: in a photo reduced to 416 pixels, those below about 16 pixels are mostly missed.",
    "Crowds: some people or objects that hide each other are missed.",
    "It knows eighty classes of everyday objects; others are missed, or assigned to the most similar class.",
    "The published weights were trained on the held-out photos, too: the figures on other photos are lower.",
)
_COMMAND = (
    "trigger-api train objects --photos DATA/objects/photos --labels DATA/objects/labels.json"
    " --unlabelled DATA/objects/unlabelled --published DATA/objects/yolox-nano/yolox_nano.onnx"
    " --out OUT/yolox-nano/1 --work WORK"
)
_MEASURE = (
    "trigger-api evaluate objects --photos DATA/objects/photos --labels DATA/objects/labels.json --part held-out --json"
)


@dataclass(frozen=True)
class WeightInterpolation:
    """Which weights between the published and the fine-tuned ones are kept (WiSE-FT, arXiv:2109.01903).

    Attributes:
        tried: AP on validation photos, by share of the fine-tuned weights.
        kept: the share that is kept.
    """

    tried: Mapping[float, float]
    kept: float


def describe(
    *, model: Path, start: Precision, interpolation: WeightInterpolation, photos: Path, labels: Path
) -> Precision:
    """Evaluate a model folder on held-out photos, and write its card, beside the metrics of the published weights."""
    precision = evaluate_objects(photos, labels, model, ["held-out"])
    metrics: dict[str, JsonValue] = {
        "held-out": {
            "command": _MEASURE,
            "test set": "the photos of DATA/objects whose names' sha256 says so: a third, never trained on here",
            **precision.figures(),
            "published weights, in the same run": {"AP": round(start.ap, 2), "AP50": round(start.ap50, 2)},
        },
        "validation": {
            "AP by share of the way from the published weights to the taught ones": {
                f"{share:.0%}": round(ap, 2) for share, ap in interpolation.tried.items()
            },
            "kept": f"{interpolation.kept:.0%}",
        },
    }
    update = {
        "description": "Eighty classes of everyday objects (COCO's), with boxes."
        + ("" if interpolation.kept else " The published weights: fine-tuning measured no better and was not kept."),
        "figures": metrics,
        "training_data": _SOURCES,
        "training_command": _COMMAND,
        "known_failures": _FAILURES,
    }
    write_card(model, read_card(model).model_copy(update=update))
    return precision
