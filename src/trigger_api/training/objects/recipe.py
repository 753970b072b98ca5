"""The published YOLOX-Nano as a model folder, with its pre- and postprocessing. It is converted; nothing is trained."""

from __future__ import annotations

from pathlib import Path

from trigger_api.evaluation.objects import evaluate_objects
from trigger_api.model_card import DataSource, Limits, ModelCard, TensorSpec, write_card
from trigger_api.runtimes.coco_labels import COCO
from trigger_api.runtimes.detection_ops import CANVAS, MAX_DETECTIONS
from trigger_api.tasks.objects.task import BOXES, CLASSES, LIMITS, PHOTO, SCORES, SIZE
from trigger_api.training.compressed_save import save_model_folder
from trigger_api.training.loop import Log
from trigger_api.training.objects.detector import build_detector
from trigger_api.training.objects.network import build_network
from trigger_api.training.objects.published import load_pretrained

_SOURCES = (
    DataSource(
        name="YOLOX-Nano (Megvii)", licence="Apache-2.0", note="all weights; they were trained on COCO train2017"
    ),
)
_FAILURES = (
    "Small objects: in a photo reduced to 416 pixels, those below about 16 pixels are mostly missed.",
    "Crowds: some people or objects that hide each other are missed.",
    "It knows eighty classes of everyday objects; others are missed, or assigned to the most similar class.",
    "The published weights were trained on the held-out photos, too: the figures on other photos are lower.",
)
_COMMAND = (
    "trigger-api train objects --published DATA/objects/yolox-nano/yolox_nano.onnx --photos DATA/objects/photos"
    " --labels DATA/objects/labels.json --out OUT/yolox-nano/1"
)
_MEASURE = (
    "trigger-api evaluate objects --photos DATA/objects/photos --labels DATA/objects/labels.json --part held-out --json"
)


def train_objects(
    *, published: Path, output: Path, photos: Path | None = None, labels: Path | None = None, log: Log = lambda _: None
) -> ModelCard:
    """Write the model folder ``output``, which ends in ``<name>/<version>``.

    Args:
        published: YOLOX-Nano as an ONNX file.
        output: where to.
        photos: what to evaluate on; the names of photos decide which are held out.
        labels: the objects in them; see ``read_labels``.
        log: is given a line of progress at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: the published network or the labels have another format.
        ServiceError: a photo cannot be decoded.
    """
    network = build_network()
    load_pretrained(network, published)
    card = save_model_folder(build_detector(network), output, _card(output.parent.name, output.name))
    if photos and labels:
        precision = evaluate_objects(photos, labels, output, ["held-out"])
        log(f"held-out photos: AP {precision.ap:.2f}, AP50 {precision.ap50:.2f}")
        test_set = "the photos of DATA/objects whose names' sha256 says so: a third"
        figures = {"command": _MEASURE, "test set": test_set, **precision.figures()}
        card = card.model_copy(update={"figures": {"held-out": figures}})
        write_card(output, card)
    return card


def _card(name: str, version: str) -> ModelCard:
    return ModelCard(
        task="objects",
        name=name,
        version=version,
        description="Eighty classes of everyday objects (COCO's), with boxes.",
        labels=COCO,
        inputs=(
            TensorSpec(name=PHOTO, shape=(CANVAS, CANVAS, 3), dtype="uint8"),
            TensorSpec(name=SIZE, shape=(2,), dtype="int32", value_range=(CANVAS / 2, CANVAS)),
            TensorSpec(name=LIMITS, shape=(4,), value_range=(0.0, 0.05)),
        ),
        outputs=(
            TensorSpec(name=BOXES, shape=(MAX_DETECTIONS, 4)),
            TensorSpec(name=SCORES, shape=(MAX_DETECTIONS,)),
            TensorSpec(name=CLASSES, shape=(MAX_DETECTIONS,), dtype="int32"),
        ),
        limits=Limits(batch_sizes=(1, 2, 4, 8)),
        training_data=_SOURCES,
        training_command=_COMMAND,
        known_failures=_FAILURES,
    )
