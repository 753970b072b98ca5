"""The published face detector as model folders. It is converted; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from trigger_api.evaluation.faces import evaluate_faces
from trigger_api.model_card import (
    WEIGHTS_FILE,
    DataSource,
    Decision,
    Limits,
    ModelCard,
    TensorSpec,
    read_card,
    write_card,
)
from trigger_api.runtimes import digest
from trigger_api.tasks.faces.task import ONET, PNET, RNET, Faces
from trigger_api.training.faces.network import Weights, build_onet, build_pnet, build_rnet
from trigger_api.training.loop import Log

if TYPE_CHECKING:
    import keras

SIDES = (*range(48, 640, 16), *range(640, 769, 32))
"""Of the canvases that hold a photo's pyramid, pixels."""
_REFINED, _EXAMINED = 32, 4  # crops in a block, which fits the processor's cache
_VERSION = "1"

_SOURCES = (
    DataSource(
        name="MTCNN, as published in the package mtcnn 1.0.0 (Iván de Paz Centeno)",
        licence="MIT",
        note="all weights; they were trained on WIDER FACE and CelebA",
    ),
)
_COMMAND = "trigger-api train faces --out OUT --photos DATA/faces --boxes DATA/faces/boxes_xywh.json"
_MEASURED: dict[str, JsonValue] = {
    "command": "trigger-api evaluate faces --photos DATA/faces --boxes DATA/faces/boxes_xywh.json --json",
    "test set": "nine photos of PASCAL VOC, boxes drawn by people for dlib's examples; all three networks together",
}
_FAILURES = (
    "Faces smaller than 20 pixels in a photo of at most 1 280 are not searched for.",
    "Faces in profile, upside down, covered or in the dark are often missed; now and then a pattern is taken for one.",
    "It was trained mostly on photos of the press and of celebrities: faces that are rare there are found less often.",
)


def train_faces(*, output: Path, photos: Path | None, boxes: Path | None, log: Log) -> None:
    """Write the detector's three model folders, ``NAME/VERSION`` each, with conversions for ONNX Runtime.

    Args:
        output: where to.
        photos: what to evaluate on; see ``evaluate_faces``.
        boxes: the faces in them.
        log: is given a line of progress at a time.

    Raises:
        ImportError: the package that publishes the weights is not installed.
        OSError: the folder cannot be written, or a photo not read.
        ServiceError: a photo cannot be read.
    """
    for (name, card), network in zip(_cards().items(), _networks(), strict=True):
        folder = output / name / _VERSION
        log(f"{folder}: {_write(folder, network, card).parameters} parameters")
    if photos and boxes:
        metrics = evaluate_faces(photos, boxes, output).figures()
        log(str(metrics))
        for name in _cards():
            folder = output / name / _VERSION
            write_card(folder, read_card(folder).model_copy(update={"figures": {"photos": {**_MEASURED, **metrics}}}))


def _networks() -> tuple[keras.Model, ...]:
    first, second, third = _published()
    return build_pnet(first), build_rnet(second, _REFINED), build_onet(third, _EXAMINED)


def _published() -> list[Weights]:
    """The weights as the package itself reads them."""
    from mtcnn import MTCNN

    return [stage.model.get_weights() for stage in MTCNN().stages]


def _cards() -> Mapping[str, ModelCard]:
    crops = {
        side: TensorSpec(name="crops", shape=(many, 3, side, side), value_range=(0, 255)) for side, many in _BLOCKS
    }
    canvas = TensorSpec(name="canvas", shape=(4, -1, -1), value_range=(0, 255))
    return {
        PNET: _card(PNET, "proposes boxes on the photo's pyramid", canvas, _cells(), 0.6).model_copy(
            update={"sequence_lengths": SIDES, "limits": Limits(batch_sizes=(1,), queue=128, concurrency=8)}
        ),
        RNET: _card(RNET, "refines the proposals", crops[24], _outputs(_REFINED), 0.7),
        ONET: _card(ONET, "decides, and finds five landmarks", crops[48], _outputs(_EXAMINED, 10), 0.8),
    }


_BLOCKS = ((24, _REFINED), (48, _EXAMINED))


def _cells() -> tuple[TensorSpec, ...]:
    return TensorSpec(name="scores", shape=(-1, -1)), TensorSpec(name="offsets", shape=(4, -1, -1))


def _outputs(many: int, landmarks: int = 0) -> tuple[TensorSpec, ...]:
    both = TensorSpec(name="scores", shape=(many,)), TensorSpec(name="offsets", shape=(many, 4))
    return (*both, TensorSpec(name="landmarks", shape=(many, landmarks))) if landmarks else both


def _card(name: str, what: str, taken: TensorSpec, given: tuple[TensorSpec, ...], threshold: float) -> ModelCard:
    return ModelCard(
        task=Faces.name,
        name=name,
        version=_VERSION,
        description=f"MTCNN, face detection: {what}",
        inputs=(taken,),
        outputs=given,
        decision=Decision(threshold=threshold),
        limits=Limits(batch_sizes=(1, 2), queue=256),
        training_data=_SOURCES,
        training_command=_COMMAND,
        known_failures=_FAILURES,
    )


def _write(folder: Path, network: keras.Model, card: ModelCard) -> ModelCard:
    from trigger_api.runtimes import onnx_export

    folder.mkdir(parents=True, exist_ok=True)
    network.save(folder / WEIGHTS_FILE)
    sha256 = digest(folder)
    card = card.model_copy(update={"parameters": network.count_params(), "sha256": sha256})
    write_card(folder, card)
    onnx_export.convert(folder, card, sha256, folder)
    return card
