"""The card of a trained object model: where it comes from, and what it measures on photos held out."""

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
        note="the first weights and the teacher; they were trained on COCO train2017",
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
    "Small things: on a photo made smaller to 416 pixels, less than about 16 pixels is mostly missed.",
    "Crowds: of people or things that hide each other, some are missed.",
    "It knows eighty classes of everyday things; other things are left out, or taken for the nearest class.",
    "The published weights have seen the held-out photos in their own training: other photos will measure lower.",
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
class Settled:
    """Where training ended: what validation measured on the way, and which share of it was gone.

    Attributes:
        tried: AP by share of the way from the published weights to the taught ones.
        kept: the share whose weights stayed.
    """

    tried: Mapping[float, float]
    kept: float


def describe(*, model: Path, start: Precision, settled: Settled, photos: Path, labels: Path) -> Precision:
    """Measure a model folder on the photos held out, and write its card, beside what the published weights measure."""
    found = evaluate_objects(photos, labels, model, ["held-out"])
    figures: dict[str, JsonValue] = {
        "held-out": {
            "command": _MEASURE,
            "test set": "the photos of DATA/objects whose names' sha256 says so: a third, never trained on here",
            **found.figures(),
            "published weights, in the same run": {"AP": round(start.ap, 2), "AP50": round(start.ap50, 2)},
        },
        "validation": {
            "AP by share of the way from the published weights to the taught ones": {
                f"{share:.0%}": round(ap, 2) for share, ap in settled.tried.items()
            },
            "kept": f"{settled.kept:.0%}",
        },
    }
    update = {
        "description": "Eighty classes of everyday things (COCO's), with boxes."
        + ("" if settled.kept else " The published weights: training on measured no better and was not kept."),
        "figures": figures,
        "training_data": _SOURCES,
        "training_command": _COMMAND,
        "known_failures": _FAILURES,
    }
    write_card(model, read_card(model).model_copy(update=update))
    return found
