"""The digit recipe: MNIST's training digits, distorted anew every time, and everything that is no digit.

The last 5 000 training digits are held out for choices; no test set is read. A training that was broken off goes on
from what it kept in ``work``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.mnist import read_images, read_labels
from trigger_api.model_card import WEIGHTS_FILE, DataSource, Decision, Limits, ModelCard, TensorSpec, write_card
from trigger_api.tasks.digits.mnist import SIDE
from trigger_api.training.compressed_save import write_small
from trigger_api.training.digits.augmentation import Distortion
from trigger_api.training.digits.negatives import impostors, printed
from trigger_api.training.digits.network import Plan, build
from trigger_api.training.loop import Course, Say, learn
from trigger_api.training.precision import computing_in

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

LABELS = (*"0123456789", "none")
NONE = LABELS.index("none")
COURSE = Course(size=128, epochs=12, rate=2e-3, decay=0.02, average=0.998)
_SOURCES = (
    DataSource(
        name="MNIST training digits (Yann LeCun, Corinna Cortes)",
        licence="commonly given as CC BY-SA 3.0",
        note="the last 5 000 were held out for choices",
    ),
    DataSource(
        name="fonts of matplotlib: DejaVu, STIX, Computer Modern",
        licence="Bitstream Vera, SIL OFL 1.1 and Knuth's: free to use",
        note="printed digits, and letters and signs that are none",
    ),
)
_SMOOTHING = 0.03
_PART = 1_000  # pictures measured at a time


@dataclass(frozen=True)
class Material:
    """Pictures uint8 ``(n, 28, 28)`` with their labels: what each batch is drawn from, and how much of each."""

    digits: NDArray[np.uint8]
    labels: NDArray[np.int64]
    others: NDArray[np.uint8]
    other_labels: NDArray[np.int64]


class Dealer:
    """Deals every digit once an epoch, and to each batch a share of other things. A step's number is its seed."""

    def __init__(self, material: Material, size: int, others: float = 0.16) -> None:
        self._material = material
        self._size = size
        self._others = round(size * others)
        self._distort = Distortion()

    def epoch(self, number: int) -> list[list[int]]:
        """Shuffle the digits into batches; the few left over wait for another epoch."""
        order = np.random.default_rng(number).permutation(len(self._material.labels))
        starts = range(0, len(order) - self._size + 1, self._size)
        return [order[start : start + self._size].tolist() for start in starts]

    def batch(
        self, members: Sequence[int], step: int
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64], NDArray[np.float32]]:
        """Make one batch: ``digits`` (n, 28, 28, 1), labels (n,), and weights (n,) that are all 1."""
        random = np.random.default_rng((step, 1))
        material = self._material
        drawn = random.integers(len(material.others), size=self._others)
        pictures = np.concatenate([material.digits[list(members)], material.others[drawn]])
        labels = np.concatenate([material.labels[list(members)], material.other_labels[drawn]])
        made = self._distort(np.asarray(pictures / 255, np.float32), random)
        return {"digits": made[..., None]}, labels, np.ones(len(labels), np.float32)


def train_digits(
    *,
    images: Path,
    labels: Path,
    output: Path,
    work: Path,
    start: Path | None = None,
    held_out: int = 5_000,
    invented: int = 10_000,
    plan: Plan | None = None,
    course: Course | None = None,
    precision: str = "mixed_bfloat16",
    say: Say = lambda _: None,
) -> ModelCard:
    """Train a model folder ``output``, ending in ``<name>/<version>``, from labelled digits (idx, idx.gz or npz).

    ``work`` keeps what a broken-off training resumes from; ``start`` is a model folder to go on from. Of the digits the
    last ``held_out`` are only measured on; ``invented`` things that are no digits are drawn. ``precision`` is the Keras
    dtype policy to learn in. ``say`` is told how it goes, a line at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: the files hold no labelled digits of 28 x 28 pixels.
    """
    import keras

    pictures, truth = _labelled(images, labels)
    output.mkdir(parents=True, exist_ok=True)
    say(f"drawing {invented} things that are no digits")
    material = _material(pictures[:-held_out], truth[:-held_out], invented, seed=0)
    unseen = _material(pictures[-held_out:], truth[-held_out:], max(8, invented // 8), seed=1)
    course, plan = course or COURSE, plan or Plan()
    with computing_in(precision):
        network = build(len(LABELS), plan, probabilities=False)
    if start:
        network.set_weights(keras.models.load_model(start / WEIGHTS_FILE, compile=False).get_weights())
    learn(network, Dealer(material, course.size), loss, course, work, say=say, figures=_figures(network, unseen))
    say(f"with the mean of the weights: {_figures(network, unseen)()}")
    final = build(len(LABELS), plan, probabilities=True)
    final.set_weights(network.get_weights())
    write_small(final, output / WEIGHTS_FILE)
    card = _card(output, final.count_params())
    write_card(output, card)
    return card


def loss(scores: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The weighted mean cross-entropy, against labels that are a little unsure."""
    import tensorflow as tf

    wanted = tf.one_hot(labels, len(LABELS)) * (1 - _SMOOTHING) + _SMOOTHING / len(LABELS)
    each = tf.nn.softmax_cross_entropy_with_logits(wanted, scores)
    return tf.reduce_sum(each * weights) / tf.reduce_sum(weights)


def _labelled(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    pictures, truth = read_images(images), read_labels(labels)
    if pictures.shape != (len(truth), SIDE, SIDE):
        raise ValueError(f"{images.name} and {labels.name} are not digits of {SIDE} x {SIDE} pixels and their labels")
    return pictures, truth


def _material(pictures: NDArray[np.uint8], labels: NDArray[np.int64], invented: int, seed: int) -> Material:
    """Digits, and beside them things that are none and, one to seven, printed digits."""
    strange = impostors(invented, pictures, labels, seed)
    print_, print_labels = printed(max(1, invented // 7), seed)
    others = np.concatenate([strange, print_])
    return Material(pictures, labels, others, np.concatenate([np.full(len(strange), NONE), print_labels]))


def _figures(network: keras.Model, unseen: Material) -> Callable[[], str]:
    import tensorflow as tf

    run = tf.function(lambda digits: network({"digits": digits}, training=False)["scores"], autograph=False)

    def answers(pictures: NDArray[np.uint8]) -> NDArray[np.intp]:
        starts = range(0, len(pictures), _PART)
        parts = [np.asarray(pictures[start : start + _PART, ..., None] / 255, np.float32) for start in starts]
        best: NDArray[np.intp] = np.concatenate([run(tf.constant(part)).numpy() for part in parts]).argmax(axis=1)
        return best

    def figures() -> str:
        wrong = np.mean(answers(unseen.digits) != unseen.labels)
        none = unseen.other_labels == NONE
        taken = np.mean(answers(unseen.others[none]) != NONE)
        return f"held out: {wrong:.2%} of digits wrong, {taken:.2%} of other things taken for digits"

    return figures


def _card(output: Path, parameters: int) -> ModelCard:
    return ModelCard(
        task="digits",
        name=output.parent.name,
        version=output.name,
        description="Handwritten digits, and what is no digit, one 28 x 28 shape at a time.",
        labels=LABELS,
        inputs=(TensorSpec(name="digits", shape=(SIDE, SIDE, 1)),),
        outputs=(TensorSpec(name="scores", shape=(len(LABELS),)),),
        decision=Decision(threshold=0.5),
        limits=Limits(batch_sizes=(1, 2, 4, 8, 16, 32, 64), queue=4_096),  # a picture may hold hundreds of pieces
        parameters=parameters,
        training_data=_SOURCES,
        training_command="trigger-api train digits --images IMAGES --labels LABELS --out OUTPUT/mnist/1 --work WORK",
        sha256=hashlib.sha256((output / WEIGHTS_FILE).read_bytes()).hexdigest(),
    )
