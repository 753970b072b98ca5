"""The recipe for the two networks that tell emotions from one face: FER2013's labels and, beside them, people's votes.

Some of the training faces are held out for choices and for the temperature; no test set is read but to keep its faces
out of training. A training that was broken off goes on from what it kept in ``work``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import tensorflow as tf

from trigger_api.datasets.fer2013 import SIDE, Split, read_sheet, read_split
from trigger_api.model_card import ModelCard
from trigger_api.runtimes.keras_loader import load
from trigger_api.training.emotions import detector_recipe, inception_resnet, mobilenet
from trigger_api.training.emotions.batches import Dealer
from trigger_api.training.emotions.dataset import cleaned, parted
from trigger_api.training.emotions.distillation import Term, train_at_school
from trigger_api.training.emotions.export import finish
from trigger_api.training.emotions.network import Plan, learner, take_over
from trigger_api.training.emotions.predictions import figures, looks
from trigger_api.training.emotions.targets import Teaching, loss
from trigger_api.training.emotions.teacher import asked
from trigger_api.training.loop import Course, Say, learn
from trigger_api.training.precision import computing_in

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
    school: bool = False,
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
        school: whether ``inception-resnet`` first gets larger teachers of its own; see ``train_at_school``.
        say: is told how it goes, a line at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: a file is of another form, or what the network needs is not given.
    """
    if model == "yolo3" and not (teachers and photos):
        raise ValueError("yolo3 learns on photos and from a teacher: give both")
    if model == "mobilenetv2" and not published:
        raise ValueError("mobilenetv2 begins with published weights: give them")
    if school and (model != "inception-resnet" or teachers):
        raise ValueError("school is for inception-resnet, and brings its own teachers")
    known = cleaned(read_split(sheet, labels, split), map(read_sheet, tests))
    if model == "yolo3":
        lasting = _changed(detector_recipe.COURSE, passes, rate)
        return detector_recipe.train_finder(
            known, photos, output, work, teachers=teachers, start=start, course=lasting, say=say
        )
    if school:
        term = Term()
        term = replace(term, learned=_changed(term.learned, passes, rate))
        begun = load(start) if start else None
        return train_at_school(known, output, work, plan=inception_resnet.Plan(), term=term, start=begun, say=say)
    plan = mobilenet.Plan(weights=published) if model == "mobilenetv2" else inception_resnet.Plan()
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
    with computing_in(precision):
        network = learner(plan, votes=split.votes.shape[1])
    if start:
        take_over(network, load(start))
    elif isinstance(plan, mobilenet.Plan) and plan.weights:
        mobilenet.adopt(network, plan)
    told = asked(teachers)(known.faces) if teachers else None
    dealer = Dealer(known, course.size, course.epochs, teaching or Teaching(), told)
    learn(network, dealer, loss, course, work, say=say, figures=lambda: figures(looks(network, unseen.faces), unseen))
    if course.average:
        _renormalise(network, dealer)
    return finish(network, plan, unseen, output, mirrored=mirrored, say=say)


def _renormalise(network: keras.Model, dealer: Dealer) -> None:
    """Let batch normalisation see what the mean of the weights makes of faces: it knows the last weights' features."""
    look = tf.function(lambda faces: network({"faces": faces}, training=True), autograph=False)
    for number, members in enumerate(dealer.epoch(0)[:_RENORMALISED]):
        look(dealer.batch(members, dealer.last - number)[0]["faces"])
