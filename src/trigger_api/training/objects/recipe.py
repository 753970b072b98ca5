"""The recipe for objects: a published network fine-tuned on people's labels and on pseudo-labels of its own.

A run that was stopped resumes from what it kept in ``work``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import Photo, read_labels, read_pixels, select
from trigger_api.errors import ServiceError
from trigger_api.evaluation.objects import BATCH, Precision, average_precision, evaluate_objects, find_all
from trigger_api.model_card import Limits, ModelCard, TensorSpec, read_card
from trigger_api.runtimes import keras_tensorflow as runtime
from trigger_api.runtimes.coco_labels import COCO
from trigger_api.runtimes.detection_ops import CANVAS, MAX_DETECTIONS
from trigger_api.tasks.objects.task import BOXES, CLASSES, LIMITS, PHOTO, SCORES, SIZE
from trigger_api.training.compressed_save import save_model_folder
from trigger_api.training.loop import Log, TrainingConfig, train
from trigger_api.training.objects.card import WeightInterpolation, describe
from trigger_api.training.objects.detector import build_detector
from trigger_api.training.objects.examples import Example, PhotoSampler, labelled, pseudo_labelled
from trigger_api.training.objects.loss import detection_loss
from trigger_api.training.objects.network import SIDE, build_network, convolutions
from trigger_api.training.objects.published import load_pretrained
from trigger_api.training.objects.teacher import Boxes, Teacher

Weights = Sequence[NDArray[np.float32]]

CONFIG = TrainingConfig(batch_size=BATCH, epochs=6, learning_rate=4e-5, warm_up=0.1, weight_decay=0.0, ema=0.995)
_REPEATS = 2  # of a labelled photo in an epoch
_FROZEN = ("stem", "dark2", "dark3")  # edges and textures, which so few photos would only spoil
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the fine-tuned weights against the published ones


def train_objects(
    *,
    photos: Path,
    labels: Path,
    unlabelled: Path,
    published: Path,
    output: Path,
    work: Path,
    config: TrainingConfig = CONFIG,
    log: Log = lambda _: None,
) -> ModelCard:
    """Train a model folder.

    Args:
        photos: folder of photos; names decide which are for training, for validation, and held out.
        labels: the objects in them; see ``read_labels``.
        unlabelled: folder of further photos.
        published: YOLOX-Nano as an ONNX file.
        output: the model folder, ending in ``<name>/<version>``.
        work: keeps what a stopped run resumes from.
        config: how long and how fast to train.
        log: is given a line of progress at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: the labels or the published network have another format.
    """
    work.mkdir(parents=True, exist_ok=True)
    network = build_network()
    load_pretrained(network, published)
    start = network.get_weights()
    known = read_labels(labels)
    validate = _validation(network, photos, select(known, ["validation"]))
    log(f"published weights on validation: {_line(validate())}")
    people = [labelled(read_pixels(photos / name), photo) for name, photo in select(known, ["train"]).items()]
    others = _pseudo_label(network, unlabelled, work / "pseudo_labels.npz", log)
    _fine_tune(network, PhotoSampler(people, others, config, _REPEATS), config, work, log, lambda: _line(validate()))
    interpolation = interpolate_weights(network, start, lambda: validate().ap, log)
    return export_better(network, start, interpolation, photos=photos, labels=labels, output=output, work=work, log=log)


def export_better(
    network: keras.Model,
    start: Weights,
    interpolation: WeightInterpolation,
    *,
    photos: Path,
    labels: Path,
    output: Path,
    work: Path,
    log: Log = lambda _: None,
) -> ModelCard:
    """Write the network as a model folder, or its ``start`` if that measures better on held-out photos.

    The other arguments are those of ``train_objects``.
    """
    write_model(network, output)
    network.set_weights(start)
    write_model(network, published := work / "published" / output.parent.name / output.name)
    before = evaluate_objects(photos, labels, published, ["held-out"])
    log(f"published weights on held-out photos: {_line(before)}")
    after = describe(model=output, start=before, interpolation=interpolation, photos=photos, labels=labels)
    log(f"fine-tuned weights on held-out photos: {_line(after)}")
    if after.ap < before.ap:
        write_model(network, output)
        none = replace(interpolation, kept=0.0)
        describe(model=output, start=before, interpolation=none, photos=photos, labels=labels)
        log("the published weights are kept")
    return read_card(output)


def write_model(network: keras.Model, output: Path) -> ModelCard:
    """Write a network with its pre- and postprocessing as a model folder, ending in ``<name>/<version>``."""
    return save_model_folder(build_detector(network), output, _card(output.parent.name, output.name))


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


def _fine_tune(
    network: keras.Model,
    sampler: PhotoSampler,
    config: TrainingConfig,
    work: Path,
    log: Log,
    metrics: Callable[[], str],
) -> None:
    for layer in convolutions(network):
        layer.trainable = layer.name.split("_")[1] not in _FROZEN
    model = keras.Model({"pictures": network.input}, network.output)
    train(model, sampler, config, work, loss=partial(detection_loss, side=SIDE), log=log, metrics=metrics)


def interpolate_weights(
    network: keras.Model, start: Weights, precision: Callable[[], float], log: Log
) -> WeightInterpolation:
    """Set the weights that validate best on the straight line from ``start`` to the network's."""
    end = network.get_weights()

    def interpolate(share: float) -> None:
        network.set_weights([first + share * (last - first) for first, last in zip(start, end, strict=True)])

    tried = {}
    for share in _SHARES:
        interpolate(share)
        tried[share] = precision()
    best = max(_SHARES, key=tried.__getitem__)
    log(", ".join(f"{share:.0%} fine-tuned: AP {ap:.2f}" for share, ap in tried.items()) + f"; {best:.0%} is kept")
    interpolate(best)
    return WeightInterpolation(tried, best)


def _pseudo_label(network: keras.Model, folder: Path, cache: Path, log: Log) -> list[Example]:
    """The photos of a folder, with what the network sees in each."""
    predicted = dict(np.load(cache)) if cache.exists() else _predict(Teacher(network), folder, log)
    np.savez_compressed(cache, **predicted)
    examples = [pseudo_labelled(read_pixels(folder / name), boxes) for name, boxes in sorted(predicted.items())]
    return [example for example in examples if (example.weights > 0).any()]


def _predict(teacher: Teacher, folder: Path, log: Log) -> dict[str, Boxes]:
    predicted: dict[str, Boxes] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            predicted[path.name] = teacher.predict(read_pixels(path))
        except ServiceError as error:
            log(f"{path.name}: {error}")
    log(f"{len(predicted)} photos labelled by the published network")
    return predicted


def _validation(network: keras.Model, photos: Path, known: Mapping[str, Photo]) -> Callable[[], Precision]:
    """A function that evaluates the network with the weights that it has at the time."""
    card = _card("network", "1")
    run = runtime.KerasModel(build_detector(network), card).compile(card.inputs, BATCH)

    def measure() -> Precision:
        found = find_all((read_pixels(photos / name) for name in known), run, card)
        return average_precision(known, dict(zip(known, found, strict=True)), card.labels)

    return measure


def _line(precision: Precision) -> str:
    return f"AP {precision.ap:.2f}, AP50 {precision.ap50:.2f}"
