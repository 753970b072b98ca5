"""The recipe for objects: a published network taught further, on people's labels and on its own from several looks.

A training that was broken off goes on from what it kept in ``work``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import Photo, read_labels, read_pixels, select
from trigger_api.errors import ServiceError
from trigger_api.evaluation.objects import BATCH, Precision, average_precision, evaluate_objects, find_all
from trigger_api.model_card import WEIGHTS_FILE, Limits, ModelCard, TensorSpec, read_card, write_card
from trigger_api.runtimes import keras_tensorflow as runtime
from trigger_api.runtimes.coco_labels import COCO
from trigger_api.runtimes.detection_ops import CANVAS, MAX_DETECTIONS
from trigger_api.tasks.objects.task import BOXES, CLASSES, LIMITS, PHOTO, SCORES, SIZE
from trigger_api.training.compressed_save import write_small
from trigger_api.training.loop import Course, Say, learn
from trigger_api.training.objects.card import Settled, describe
from trigger_api.training.objects.detector import build_detector
from trigger_api.training.objects.examples import Dealer, Example, labelled, taught
from trigger_api.training.objects.network import SIDE, build_network, convolutions
from trigger_api.training.objects.published import adopt
from trigger_api.training.objects.teacher import Boxes, Teacher

if TYPE_CHECKING:
    import keras

Weights = Sequence[NDArray[np.float32]]

COURSE = Course(epochs=6, rate=4e-5, warm_up=0.1, decay=0.0, average=0.995, save_every=70, say_every=35)
_OFTEN = 2  # a labelled photo, for each time of an unlabelled one
_KEPT = ("stem", "dark2", "dark3")  # edges and textures, which this little material would only blur
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the way from the published weights to the taught ones


def train_objects(
    *,
    photos: Path,
    labels: Path,
    unlabelled: Path,
    published: Path,
    output: Path,
    work: Path,
    course: Course = COURSE,
    say: Say = lambda _: None,
) -> ModelCard:
    """Train a model folder.

    Args:
        photos: folder of photos, of which those for training are learned from and those for validation choose.
        labels: what is on them; see ``read_labels``.
        unlabelled: folder of further photos.
        published: YOLOX-Nano as an ONNX file.
        output: the model folder; it must end in ``<name>/<version>``.
        work: keeps what a broken-off training goes on from.
        course: how long and how boldly to learn.
        say: is told how it goes, a line at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: the labels or the published network are of another form.
    """
    work.mkdir(parents=True, exist_ok=True)
    network = build_network()
    adopt(network, published)
    start = network.get_weights()
    known = read_labels(labels)
    validate = _validation(network, photos, select(known, ["validation"]))
    say(f"published weights on validation: {_line(validate())}")
    people = [labelled(read_pixels(photos / name), photo) for name, photo in select(known, ["train"]).items()]
    dealer = Dealer(people, _teach(network, unlabelled, work / "taught.npz", say), BATCH, _OFTEN)
    _learn(network, dealer, course, work, say, lambda: _line(validate()))
    settled = settle(network, start, lambda: validate().ap, say)
    return finish(network, start, settled, photos=photos, labels=labels, output=output, work=work, say=say)


def finish(
    network: keras.Model,
    start: Weights,
    settled: Settled,
    *,
    photos: Path,
    labels: Path,
    output: Path,
    work: Path,
    say: Say = lambda _: None,
) -> ModelCard:
    """Write the network as a model folder, or its ``start`` if that measures better on the photos held out.

    The other arguments are ``train_objects``'s.
    """
    write_model(network, output)
    network.set_weights(start)
    write_model(network, published := work / "published" / output.parent.name / output.name)
    before = evaluate_objects(photos, labels, published, ["held-out"])
    say(f"published weights on photos held out: {_line(before)}")
    after = describe(model=output, start=before, settled=settled, photos=photos, labels=labels)
    say(f"taught weights on photos held out: {_line(after)}")
    if after.ap < before.ap:
        write_model(network, output)
        describe(model=output, start=before, settled=replace(settled, kept=0.0), photos=photos, labels=labels)
        say("the published weights stay")
    return read_card(output)


def write_model(network: keras.Model, output: Path) -> ModelCard:
    """Write a network as a model folder, which must end in ``<name>/<version>``: whole, and in half precision."""
    output.mkdir(parents=True, exist_ok=True)
    write_small(build_detector(network), output / WEIGHTS_FILE)
    digest = hashlib.sha256((output / WEIGHTS_FILE).read_bytes()).hexdigest()
    update = {"parameters": network.count_params(), "sha256": digest}
    card = _card(output.parent.name, output.name).model_copy(update=update)
    write_card(output, card)
    return card


def _card(name: str, version: str) -> ModelCard:
    return ModelCard(
        task="objects",
        name=name,
        version=version,
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
    )


def _learn(
    network: keras.Model, dealer: Dealer, course: Course, work: Path, say: Say, figures: Callable[[], str]
) -> None:
    from keras import Model

    from trigger_api.training.objects.loss import detection_loss

    for layer in convolutions(network):
        layer.trainable = layer.name.split("_")[1] not in _KEPT
    scoring = Model({"pictures": network.input}, {"scores": network.output})
    learn(scoring, dealer, partial(detection_loss, side=SIDE), course, work, say=say, figures=figures)


def settle(network: keras.Model, start: Weights, precision: Callable[[], float], say: Say) -> Settled:
    """Stop where validation says, on the straight line between the published weights and the taught ones."""
    end = network.get_weights()
    tried = {share: _at(network, start, end, share, precision) for share in _SHARES}
    best = max(_SHARES, key=tried.__getitem__)
    say("; ".join(f"{share:.0%} of the way: AP {ap:.2f}" for share, ap in tried.items()) + f"; {best:.0%} stays")
    _at(network, start, end, best)
    return Settled(tried, best)


def _at(
    network: keras.Model, start: Weights, end: Weights, share: float, precision: Callable[[], float] = float
) -> float:
    network.set_weights([first + share * (last - first) for first, last in zip(start, end, strict=True)])
    return precision()


def _teach(network: keras.Model, folder: Path, kept: Path, say: Say) -> list[Example]:
    """The photos of a folder, with what the network sees on each from several looks."""
    seen = dict(np.load(kept)) if kept.exists() else _see(Teacher(network), folder, say)
    np.savez_compressed(kept, **seen)
    examples = [taught(read_pixels(folder / name), boxes) for name, boxes in sorted(seen.items())]
    return [example for example in examples if (example.weights > 0).any()]


def _see(teacher: Teacher, folder: Path, say: Say) -> dict[str, Boxes]:
    seen: dict[str, Boxes] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            seen[path.name] = teacher.see(read_pixels(path))
        except ServiceError as error:
            say(f"{path.name}: {error}")
    say(f"{len(seen)} unlabelled photos looked at")
    return seen


def _validation(network: keras.Model, photos: Path, known: Mapping[str, Photo]) -> Callable[[], Precision]:
    """Measures the network as its weights are at that time."""
    card = _card("network", "1")
    runner = runtime.KerasModel(build_detector(network), card).compile(card.inputs, BATCH)

    def measure() -> Precision:
        seen = find_all((read_pixels(photos / name) for name in known), runner, card)
        return average_precision(known, dict(zip(known, seen, strict=True)), card.labels)

    return measure


def _line(precision: Precision) -> str:
    return f"AP {precision.ap:.2f}, AP50 {precision.ap50:.2f}"
