"""The cards of the emotion models, all but what evaluation measures."""

from __future__ import annotations

from pathlib import Path

from trigger_api.datasets.fer2013 import LABELS, SIDE
from trigger_api.model_card import DataSource, Decision, Limits, ModelCard, TensorSpec

MARGIN = 0.96
"""Side of FER2013's pictures, in longer sides of MTCNN's boxes in them: the median of 178 faces."""

_FACES = DataSource(
    name="FER2013, training faces (Pierre-Luc Carrier, Aaron Courville)",
    licence="no clear licence",
    note="trained on, not republished; without the faces of the test set, copies and blanks; 1 000 were held out",
)
_VOTES = DataSource(
    name="FER+ votes (Microsoft)",
    licence="MIT",
    note="trained on beside the labels; answers follow FER2013's labels, and by a fifth, in inception-resnet, these",
)
_IMAGENET = DataSource(name="MobileNetV2, ImageNet (Google)", licence="Apache-2.0", note="the initial weights")
_PHOTOS = DataSource(
    name="Caltech 101, 816 photos, and COCO train2017, 297 photos",
    licence="research data set; Flickr licences",
    note="backgrounds, not republished; MTCNN labelled the faces in them",
)
_MTCNN = DataSource(name="MTCNN (package mtcnn)", licence="MIT", note="the teacher for the boxes of faces")
_SOURCES = {
    "inception-resnet": (_FACES, _VOTES),
    "mobilenetv2": (_FACES, _VOTES, _IMAGENET),
    "yolo3": (_FACES, _PHOTOS, _MTCNN),
}
_ABOUT = {
    "inception-resnet": "Emotions of a face, by an Inception-ResNet for small grey pictures.",
    "mobilenetv2": "Emotions of a face, by a MobileNetV2 pretrained on ImageNet.",
    "yolo3": "Faces in a whole photo and their emotions in one pass, in the style of YOLOv3.",
}
_COMMAND = (
    "trigger-api train emotions --model {} --sheet DATA/emotions/fer2013_train.png"
    " --labels DATA/emotions/fer2013_labels.npz --test DATA/emotions/fer2013_public.png{} --out OUT/{}/1 --work WORK"
)
_OPTIONS = {
    "mobilenetv2": " --published DATA/backbones/mobilenetv2_1.0_imagenet_no_top_from_int8.weights.h5"
    " --teacher OUT/inception-resnet/1",
    "yolo3": " --photos DATA/objects/unlabelled --photos DATA/objects/photos --teacher OUT/inception-resnet/1",
}
_AGAIN = {
    name: f"; then {times} more with --start OUT/{name}/1, another --out and another --work, {options}"
    for name, times, options in (
        (
            "inception-resnet",
            "four times",
            "the second time with --no-fine-tune --epochs 32 --teacher OUT/mobilenetv2/1, the third with"
            " --no-fine-tune --learning-rate"
            " 1.5e-3 --epochs 24 --teacher OUT/mobilenetv2/1 --teacher OUT/inception-resnet/1"
            " (until then with fewer blocks), the fourth with --distill (KERAS_BACKEND=jax; 113 of its epochs)",
        ),
        (
            "yolo3",
            "four times",
            "the last three with --teacher OUT/mobilenetv2/1 and --epochs 8, then 25 (until then with fewer blocks),"
            " then 22 with --teacher OUT/inception-resnet/1, too",
        ),
    )
}
_FAILURES = (
    "FER2013's labels come from search terms and few annotators: most people agree with two of three. No model that"
    " follows them can be right much more often, and this one shares their bias.",
    "Disgust is 1.5 % of the training faces: it is rarely predicted. Fear is confused with sad, surprised and angry,"
    " and sad with neutral.",
    "Acted and exaggerated expressions are recognised better than everyday ones; a stern or smiling face at rest is"
    " often classified as angry, sad or happy.",
    "It has not been evaluated by age, sex or skin colour, which the labels do not contain. Children, old people, and"
    " others whom image searches of 2013 rarely showed are rare among the training faces.",
    "A picture shows an expression, not what someone feels. Do not judge people by it.",
    "Faces that are turned by more than about 45 degrees, covered, or smaller than about 24 pixels are often wrong.",
)


def classifier_card(output: Path, temperature: float) -> ModelCard:
    """The card of a classifier of cropped faces."""
    return _card(output).model_copy(
        update={
            "inputs": (TensorSpec(name="image", shape=(SIDE, SIDE, 1), dtype="uint8"),),
            "outputs": (TensorSpec(name="probabilities", shape=(len(LABELS),)),),
            "limits": Limits(batch_sizes=(1, 2, 4, 8, 16, 32), queue=1_024),
            "crop_margin": MARGIN,
            "figures": {"temperature": round(temperature, 3), "mirror image looked at, too": True},
        }
    )


def detector_card(output: Path, temperature: float, *, side: int, most: int, threshold: float = 0.5) -> ModelCard:
    """The card of a detector on whole photos, ``side`` pixels wide and high, with at most ``most`` faces."""
    boxes, scores = TensorSpec(name="boxes", shape=(most, 4)), TensorSpec(name="scores", shape=(most,))
    return _card(output).model_copy(
        update={
            "inputs": (TensorSpec(name="image", shape=(side, side, 3), dtype="uint8"),),
            "outputs": (boxes, scores, TensorSpec(name="emotions", shape=(most, len(LABELS)))),
            "limits": Limits(batch_sizes=(1, 2, 4), queue=64),
            "decision": Decision(threshold=threshold),
            "figures": {"temperature": round(temperature, 3)},
        }
    )


def _card(output: Path) -> ModelCard:
    name = output.parent.name
    return ModelCard(
        task="emotions",
        name=name,
        version=output.name,
        description=_ABOUT.get(name, ""),
        labels=LABELS,
        inputs=(),
        outputs=(),
        training_data=_SOURCES.get(name, (_FACES,)),
        training_command=_COMMAND.format(name, _OPTIONS.get(name, ""), name) + _AGAIN.get(name, ""),
        known_failures=_FAILURES,
    )
