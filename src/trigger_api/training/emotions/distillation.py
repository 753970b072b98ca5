"""Teachers larger than what is served, and a pupil to whom they say what they think of every face just as it sees it.

It is for machines with an accelerator, on whatever Keras computes with there. Source: L. Beyer, X. Zhai, A. Royer,
L. Markeeva, R. Anil, A. Kolesnikov, "Knowledge distillation: A good teacher is patient and consistent",
arXiv:2106.05237.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops, random

from trigger_api.datasets.fer2013 import LABELS, Split
from trigger_api.model_card import ModelCard
from trigger_api.training.emotions import inception_resnet
from trigger_api.training.emotions.dataset import parted
from trigger_api.training.emotions.export import finish
from trigger_api.training.emotions.network import Plan, learner, take_over
from trigger_api.training.emotions.predictions import figures, looks
from trigger_api.training.emotions.targets import Teaching, loss, targets
from trigger_api.training.loop import Course, Say, rated
from trigger_api.training.precision import computing_in

TEACHER = inception_resnet.Plan(blocks=(1, 3, 4), stem=(32, 64), widths=(48, 64, 96), inner=64, step=1)
"""It sees a face twice as closely as what is served, for five times the work."""
VOTES = 0.2
"""Share of people's votes in the answers. Of shares up to a half it met most labels of the faces held out; and without
it, what follows the labels closely agrees less with people."""
_COUNT = len(LABELS)


@dataclass(frozen=True, slots=True)
class Term:
    """How long teachers and the pupil learn, and how they are taught."""

    teachers: int = 2
    taught: Course = field(default_factory=partial(Course, size=256, epochs=90, rate=3e-3, decay=0.05))
    learned: Course = field(default_factory=partial(Course, size=256, epochs=148, rate=3e-3, decay=0.05))
    teaching: Teaching = field(default_factory=partial(Teaching, believed=0.8))


class Lesson(keras.Model):  # type: ignore[misc]
    """One network that learns, beside those that teach it; every batch is disturbed in the graph."""

    def __init__(self, network: keras.Model, teachers: Sequence[keras.Model], teaching: Teaching, steps: int) -> None:
        """It takes ``steps`` batches, the last ones calmly."""
        super().__init__(dtype="float32")
        self.network = network
        self.teachers = list(teachers)
        for teacher in self.teachers:
            teacher.trainable = False
        self._teaching = teaching
        self._bold = int(teaching.calm * steps)
        self._chance = random.SeedGenerator(0)
        self._taken = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)
        self.built = True  # its networks are

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Scores of ``faces (n, 48, 48)``, and what is ``wanted (n, 7 + votes)`` of them as they are seen."""
        faces, wanted = self._lesson(inputs["faces"], inputs["wanted"])
        scores = self.network({"faces": faces}, training=training)["scores"]
        return {"scores": scores, "wanted": self._told(faces, wanted)}

    def _lesson(self, faces: Any, wanted: Any) -> tuple[Any, Any]:
        # Both are computed: for an accelerator that is little, and a branch may not draw by chance.
        bold, calm = (self._teaching.lesson(faces, wanted, self._chance, calm=calm) for calm in (False, True))
        still = self._taken >= self._bold
        self._taken.assign_add(1)
        return ops.where(still, calm[0], bold[0]), ops.where(still, calm[1], bold[1])

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        """The loss of what was answered; what was wanted is among it."""
        del x, y
        return loss(y_pred["scores"], y_pred["wanted"])

    def _told(self, faces: Any, wanted: Any) -> Any:
        """What the teachers say, mixed into the labels."""
        if not self.teachers:
            return wanted
        scores = [teacher({"faces": faces}, training=False)["scores"][:, :_COUNT] for teacher in self.teachers]
        said = ops.mean(ops.softmax(ops.stack(scores)), axis=0)
        believed = self._teaching.believed
        told = believed * said + (1 - believed) * wanted[:, :_COUNT]
        return ops.concatenate([told, wanted[:, _COUNT:]], axis=1)


def train_at_school(
    split: Split,
    output: Path,
    work: Path,
    *,
    plan: Plan,
    term: Term | None = None,
    teacher: Plan = TEACHER,
    start: keras.Model | None = None,
    held_out: int = 1_000,
    precision: str = "mixed_bfloat16",
    say: Say = lambda _: None,
) -> ModelCard:
    """Train teachers, then a model folder ``output``, ending in ``<name>/<version>``; it looks at mirror images, too.

    Args:
        split: cleaned faces, of which ``held_out`` are only measured on.
        output: the model folder.
        work: keeps the teachers, and what a broken-off training goes on from.
        plan: of the pupil.
        term: how long and how.
        teacher: the plan of the teachers, which differ by chance alone.
        start: stored model for the pupil to go on from.
        held_out: how many faces.
        precision: the Keras dtype policy to learn in.
        say: is told how it goes, a line at a time.

    Raises:
        OSError: a file cannot be written.
        ValueError: the model to go on from is another network.
    """
    term = term or Term()
    known, unseen = parted(split, held_out)
    say(f"{len(known.labels)} faces to learn from, {len(unseen.labels)} held out")
    work.mkdir(parents=True, exist_ok=True)
    school = _School(known, unseen, term.teaching, work, precision, say)
    pupil = school.enrolled(plan, term.teachers)
    if start:
        take_over(pupil, start)
    teachers = [school.graduate(f"teacher-{n}", school.enrolled(teacher, n), term.taught) for n in range(term.teachers)]
    school.graduate("pupil", pupil, term.learned, teachers)
    return finish(pupil, plan, unseen, output, mirrored=True, say=say, votes=VOTES)


class _School:
    """Where networks learn one after the other; ``work`` keeps those that have."""

    def __init__(self, known: Split, unseen: Split, teaching: Teaching, work: Path, precision: str, say: Say) -> None:
        self._known = known
        self._unseen = unseen
        self._teaching = teaching
        self._work = work
        self._precision = precision
        self._say = say

    def enrolled(self, plan: Plan, seed: int) -> keras.Model:
        """A network that knows nothing yet."""
        keras.utils.set_random_seed(seed)
        with computing_in(self._precision):
            return learner(plan, votes=self._known.votes.shape[1])

    def graduate(
        self, name: str, network: keras.Model, course: Course, teachers: Sequence[keras.Model] = ()
    ) -> keras.Model:
        """Let a network learn, unless it has."""
        kept = self._work / f"{name}.weights.h5"
        if kept.exists():
            network.load_weights(kept)
            return network
        material = self._material(course.size)
        steps = len(material["faces"]) // course.size * course.epochs
        lesson = Lesson(network, teachers, self._teaching, steps)
        lesson.compile(rated(course, steps))
        lesson.fit(
            material, batch_size=course.size, epochs=course.epochs, verbose=0,
            callbacks=[keras.callbacks.BackupAndRestore(str(self._work / name)), self._report(name)],
        )  # fmt: skip
        network.save_weights(kept)
        self._say(f"{name}: {figures(looks(network, self._unseen.faces), self._unseen)}")
        return network

    def _material(self, size: int) -> dict[str, Any]:
        """Whole batches: another size at the end would be compiled for by itself."""
        known = self._known
        wanted = np.concatenate([targets(known.labels, self._teaching.smoothing), known.votes], axis=1)
        count = len(wanted) - len(wanted) % size
        return {"faces": known.faces[:count], "wanted": wanted[:count]}

    def _report(self, name: str) -> keras.callbacks.Callback:
        def tell(epoch: int, logs: dict[str, float]) -> None:
            self._say(f"{name}, epoch {epoch + 1}: loss {logs['loss']:.4f}")

        return keras.callbacks.LambdaCallback(on_epoch_end=tell)
