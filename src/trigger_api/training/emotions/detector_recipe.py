"""The recipe for the network that finds faces and tells their emotions: it learns on scenes of faces and photos.

Some of the training faces and of the photos are held out for choices. A training that was broken off goes on from what
it kept in ``work``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
import tensorflow as tf
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import part
from trigger_api.datasets.fer2013 import SIDE, Faces, Split
from trigger_api.evaluation.emotions.calibration import temperature
from trigger_api.evaluation.emotions.detection_agreement import Boxes, agreement, find_all
from trigger_api.evaluation.emotions.scores import predict_probabilities
from trigger_api.model_card import WEIGHTS_FILE, ModelCard, write_card
from trigger_api.runtimes.keras_loader import load
from trigger_api.training.compressed_save import write_small
from trigger_api.training.emotions import yolo
from trigger_api.training.emotions.card import finder_card
from trigger_api.training.emotions.compositing import Dealer, Material, Photo
from trigger_api.training.emotions.dataset import parted
from trigger_api.training.emotions.detector_loss import finding_loss
from trigger_api.training.emotions.photos import look_for_faces
from trigger_api.training.emotions.targets import targets
from trigger_api.training.emotions.teacher import Teacher, asked
from trigger_api.training.loop import Course, Say, learn
from trigger_api.training.precision import computing_in

COURSE = Course(size=8, epochs=12, rate=1.5e-3, decay=0.03, average=0.998, save_every=150)
CANVAS, MOST = 512, 128
_SCENE = 256  # pixels of a side
_BELIEVED = 0.5  # how much a teacher's word counts against the labels'
_SMOOTHING = 0.05
_LOOKED_AT = 240  # faces measured after each epoch
_THRESHOLDS = np.arange(0.1, 0.99, 0.02)
_BESIDES = 0.05  # a photo


def train_finder(
    split: Split,
    photos: Sequence[Path],
    output: Path,
    work: Path,
    *,
    teachers: Sequence[Path],
    start: Path | None = None,
    plan: yolo.Plan | None = None,
    course: Course = COURSE,
    held_out: int = 1_000,
    precision: str = "mixed_bfloat16",
    say: Say = lambda _: None,
) -> ModelCard:
    """Train a model folder ``output``, ending in ``<name>/<version>``.

    Args:
        split: cleaned faces, of which ``held_out`` are only measured on.
        photos: folders of photos; MTCNN is asked where faces are on them.
        output: the model folder.
        work: keeps what a broken-off training goes on from, and MTCNN's answers.
        teachers: model folders of classifiers that are asked about every face.
        start: model folder to go on from.
        plan: of the network.
        course: how long and how boldly to learn.
        held_out: how many faces.
        precision: the Keras dtype policy to learn in.
        say: is told how it goes, a line at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: every photo shows faces, or none can be read.
    """
    work.mkdir(parents=True, exist_ok=True)
    plan = plan or yolo.Plan()
    known, unseen = parted(split, held_out)
    seen = look_for_faces(photos, work / "faces.npz", say)
    material = _material(known, seen, asked(teachers))
    say(f"{len(material.faces)} faces, {len(material.peopled)} photos with faces and {len(material.empty)} without")
    with computing_in(precision):
        network = yolo.learner(plan)
    if start:
        yolo.take_over(network, load(start))
    look = _Look(network, plan)
    dealer = Dealer(material, course.size, _SCENE)
    loss = partial(finding_loss, side=_SCENE)
    learn(network, dealer, loss, course, work, say=say, figures=lambda: look.figures(unseen))
    heat = look.temperature(unseen)
    threshold = look.threshold({name: x for name, x in seen.items() if part(name) == "validation"}, say)
    return _write(network, plan, output, heat, threshold)


def _write(network: keras.Model, plan: yolo.Plan, output: Path, heat: float, threshold: float) -> ModelCard:
    output.mkdir(parents=True, exist_ok=True)
    final = yolo.stored(network, plan, side=CANVAS, most=MOST, temperature=heat)
    write_small(final, output / WEIGHTS_FILE)
    digest = hashlib.sha256((output / WEIGHTS_FILE).read_bytes()).hexdigest()
    card = finder_card(output, final.count_params(), digest, heat, side=CANVAS, most=MOST, threshold=threshold)
    write_card(output, card)
    return card


class _Look:
    """What a learner sees as it is at a time, by the network that is stored."""

    def __init__(self, network: keras.Model, plan: yolo.Plan) -> None:
        self._network = network
        self._served = yolo.server(plan, CANVAS, MOST)
        self._run = tf.function(lambda image: self._served({"image": image}), autograph=False)
        self._card = finder_card(Path("finder/1"), 0, "", 1.0, side=CANVAS, most=MOST)

    def __call__(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {name: x.numpy() for name, x in self._run(tf.constant(tensors["image"])).items()}

    def figures(self, unseen: Split) -> str:
        yolo.give(self._served, self._network)
        some = unseen[np.arange(min(_LOOKED_AT, len(unseen.labels)))]
        answers = predict_probabilities(some.faces, self._card, self)
        found = answers.any(axis=1)
        right = (answers.argmax(axis=1) == some.labels) & found
        return f"held out: {found.mean():.2%} of {len(some.labels)} faces found, {right.mean():.2%} right"

    def temperature(self, unseen: Split) -> float:
        yolo.give(self._served, self._network)
        answers = predict_probabilities(unseen.faces, self._card, self)
        found = answers.any(axis=1)
        return temperature(np.log(answers[found].clip(1e-9))[None], unseen.labels[found])

    def threshold(self, photos: Mapping[str, tuple[NDArray[np.uint8], Boxes]], say: Say) -> float:
        """The lowest score from which on no more is found besides MTCNN's faces than is allowed.

        That is by the photo: everyday photos show hardly any faces to take a share of.
        """
        found = find_all([np.stack([x] * 3, axis=-1) for x, _ in photos.values()], self._card, self)
        wanted = [boxes for _, boxes in photos.values()]
        tried = {float(least): agreement(wanted, found, least) for least in _THRESHOLDS}
        dear = [least for least, one in tried.items() if one.extra > _BESIDES * one.photos]
        best = min((least for least in tried if least > max(dear, default=0)), default=max(tried))
        say(f"threshold {best:.2f}: {tried[best].figures()}")
        return round(best, 2)


def _material(known: Split, seen: Mapping[str, tuple[NDArray[np.uint8], Boxes]], ask: Teacher) -> Material:
    emotions = targets(known.labels, _SMOOTHING, ask(known.faces), _BELIEVED)
    photos = [
        Photo(pixels, boxes, ask(_crops(pixels, boxes)))
        for name, (pixels, boxes) in seen.items()
        if part(name) != "validation"
    ]
    empty = [photo for photo in photos if not len(photo.boxes)]
    if not empty:
        raise ValueError("there is no photo without faces")
    return Material(known.faces, emotions, [photo for photo in photos if len(photo.boxes)], empty)


def _crops(pixels: NDArray[np.uint8], boxes: Boxes) -> Faces:
    """The faces of a photo as a classifier sees them: squares around the boxes."""
    photo = PIL.Image.fromarray(pixels)
    crops = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    for number, (left, top, right, bottom, _) in enumerate(boxes.tolist()):
        half, across, down = max(right - left, bottom - top) / 2, (left + right) / 2, (top + bottom) / 2
        square = photo.crop((round(across - half), round(down - half), round(across + half), round(down + half)))
        crops[number] = np.asarray(square.resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR))
    return crops
