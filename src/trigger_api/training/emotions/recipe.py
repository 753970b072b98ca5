"""The recipe for the two networks that tell emotions from one face: FER2013's labels and, beside them, people's votes.

Some of the training faces are held out for choices and for the temperature; no test set is read but to keep its faces
out of training. A training that was broken off goes on from what it kept in ``work``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trigger_api.cards import WEIGHTS_FILE, ModelCard, write_card
from trigger_api.evaluation.emotions.calibration import softmax, temperature
from trigger_api.evaluation.emotions.material import LABELS, SIDE, Faces, Split, read_sheet, read_split
from trigger_api.runtimes.reading import read
from trigger_api.training.course import Course, Say, learn
from trigger_api.training.emotions import finder, inception, mobilenet
from trigger_api.training.emotions.card import classifier_card
from trigger_api.training.emotions.dealing import Dealer, Teaching, loss
from trigger_api.training.emotions.material import cleaned, parted
from trigger_api.training.emotions.network import Plan, learner, stored, take_over
from trigger_api.training.emotions.teacher import asked
from trigger_api.training.small import write_small

COURSES = {
    "inception-resnet": Course(size=64, epochs=30, rate=2.5e-3, decay=0.05, average=0.999),
    "mobilenetv2": Course(size=64, epochs=18, rate=1e-3, decay=0.05),
}
GOING_ON = Course(size=64, epochs=9, rate=1.2e-3, decay=0.05)
"""Gently on, from a model that has learned already: on whole faces only."""
TEACHINGS = {"inception-resnet": Teaching(calm=0.8), "mobilenetv2": Teaching(calm=0.0)}
GENTLE = Teaching(calm=0.0, sides=((1.0, SIDE),))
HELD_OUT = 1_000
_RENORMALISED = 80  # batches: more than normalisation remembers
_PART = 500  # faces measured at a time


def train_emotions(
    *,
    model: str,
    sheet: Path,
    labels: Path,
    split: str,
    tests: Sequence[Path],
    output: Path,
    work: Path,
    published: Path | None = None,
    teachers: Sequence[Path] = (),
    photos: Sequence[Path] = (),
    start: Path | None = None,
    gently: bool = True,
    passes: int | None = None,
    rate: float | None = None,
    say: Say = lambda _: None,
) -> ModelCard:
    """Train ``inception-resnet``, ``mobilenetv2`` or ``yolo3``; see ``train_classifier`` and ``train_finder``.

    Args:
        model: which of them.
        sheet: the faces; see ``read_split``.
        labels: what they show.
        split: the labels' split.
        tests: sheets whose faces are left out.
        output: the model folder, ending in ``<name>/<version>``.
        work: keeps what a broken-off training goes on from.
        published: ImageNet weights, for ``mobilenetv2``.
        teachers: model folders of the classifiers; ``yolo3`` needs one.
        photos: folders of photos, for ``yolo3``.
        start: model folder of the same network to go on from.
        gently: whether to go on from there gently, not as boldly as from nothing.
        passes: over the faces; None for as many as the recipe says.
        rate: of learning, at its highest; None for the recipe's.
        say: is told how it goes, a line at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: a file is of another form, or what the network needs is not given.
    """
    if model == "yolo3" and not (teachers and photos):
        raise ValueError("yolo3 learns on photos and from a teacher: give both")
    if model == "mobilenetv2" and not published:
        raise ValueError("mobilenetv2 begins with published weights: give them")
    known = cleaned(read_split(sheet, labels, split), map(read_sheet, tests))
    if model == "yolo3":
        lasting = _changed(finder.COURSE, passes, rate)
        return finder.train_finder(known, photos, output, work, teachers=teachers, start=start, course=lasting, say=say)
    plan = mobilenet.Plan(weights=published) if model == "mobilenetv2" else inception.Plan()
    course, teaching = (GOING_ON, GENTLE) if start and gently else (COURSES[model], TEACHINGS[model])
    return train_classifier(
        known,
        output,
        work,
        plan=plan,
        course=_changed(course, passes, rate),
        start=start,
        teachers=teachers,
        teaching=teaching,
        mirrored=True,
        say=say,
    )


def _changed(course: Course, passes: int | None, rate: float | None) -> Course:
    return replace(course, epochs=passes or course.epochs, rate=rate or course.rate)


def train_classifier(
    split: Split,
    output: Path,
    work: Path,
    *,
    plan: Plan,
    course: Course,
    start: Path | None = None,
    teachers: Sequence[Path] = (),
    teaching: Teaching | None = None,
    held_out: int = HELD_OUT,
    mirrored: bool = False,
    precision: str = "mixed_bfloat16",
    say: Say = lambda _: None,
) -> ModelCard:
    """Train a model folder ``output``, ending in ``<name>/<version>``.

    Args:
        split: cleaned faces, of which ``held_out`` are only measured on.
        output: the model folder.
        work: keeps what a broken-off training goes on from.
        plan: of the network.
        course: how long and how boldly to learn.
        start: model folder to go on from.
        teachers: model folders of classifiers that are asked about every face.
        teaching: how the labels are told.
        held_out: how many faces.
        mirrored: whether each face's mirror image is looked at, too, where the model serves.
        precision: the Keras dtype policy to learn in.
        say: is told how it goes, a line at a time.

    Raises:
        OSError: a file is missing or cannot be written.
    """
    known, unseen = parted(split, held_out)
    say(f"{len(known.labels)} faces to learn from, {len(unseen.labels)} held out")
    with _Policy(precision):
        network = learner(plan, votes=split.votes.shape[1])
    if start:
        take_over(network, read(start))
    elif isinstance(plan, mobilenet.Plan) and plan.weights:
        mobilenet.adopt(network, plan)
    told = asked(teachers)(known.faces) if teachers else None
    dealer = Dealer(known, course.size, course.epochs, teaching or Teaching(), told)
    run = _runner(network)
    learn(network, dealer, loss, course, work, say=say, figures=lambda: _figures(_looks(run, unseen.faces), unseen))
    if course.average:
        _renormalise(network, dealer)
    looks = _looks(run, unseen.faces)
    say(f"with the mean of the weights: {_figures(looks, unseen)}")
    heat = temperature(looks if mirrored else looks[:1], unseen.labels)
    output.mkdir(parents=True, exist_ok=True)
    final = stored(network, plan, temperature=heat, mirrored=mirrored)
    write_small(final, output / WEIGHTS_FILE)
    digest = hashlib.sha256((output / WEIGHTS_FILE).read_bytes()).hexdigest()
    card = classifier_card(output, final.count_params(), digest, heat, mirrored=mirrored)
    write_card(output, card)
    return card


def _renormalise(network: keras.Model, dealer: Dealer) -> None:
    """Let batch normalisation see what the mean of the weights makes of faces: it knows the last weights' features."""
    look = tf.function(lambda faces: network({"faces": faces}, training=True), autograph=False)
    for number, members in enumerate(dealer.epoch(0)[:_RENORMALISED]):
        look(dealer.batch(members, dealer.last - number)[0]["faces"])


class _Policy:
    """Another dtype policy for a while."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self._name)

    def __exit__(self, *_: object) -> None:
        keras.config.set_dtype_policy(self._before)


def _looks(run: Callable[[Faces], NDArray[np.float32]], faces: Faces) -> NDArray[np.float32]:
    """Scores of the faces and of their mirror images, ``(2, n, 7)``."""
    return np.stack([run(faces), run(faces[:, :, ::-1])])


def _runner(network: keras.Model) -> Callable[[Faces], NDArray[np.float32]]:
    look = tf.function(lambda faces: network({"faces": faces}, training=False)["scores"], autograph=False)
    count = len(LABELS)

    def run(faces: Faces) -> NDArray[np.float32]:
        parts = [np.asarray(faces[i : i + _PART, ..., None], np.float32) for i in range(0, len(faces), _PART)]
        return np.concatenate([look(tf.constant(part)).numpy()[:, :count] for part in parts])

    return run


def _figures(looks: Any, unseen: Split) -> str:
    once, twice = softmax(looks[0]), softmax(looks).mean(axis=0)
    right = [float((answer.argmax(axis=1) == unseen.labels).mean()) for answer in (once, twice)]
    return f"held out: {right[0]:.2%} right, {right[1]:.2%} with the mirror image"
