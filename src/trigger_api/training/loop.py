"""A resumable course of training: a fixed deal of batches, a rate that warms up and falls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Say = Callable[[str], None]
Loss = Callable[[Any, Any, Any], Any]
"""Takes scores (batch, ..., labels), labels (batch, ...) and weights alike; gives one number."""
Array = NDArray[Any]


class Dealer(Protocol):
    """What is learned from, dealt in batches."""

    def epoch(self, number: int) -> Sequence[Sequence[Any]]:
        """Choose and shuffle one epoch: what tells each batch's examples."""

    def batch(self, members: Sequence[Any], step: int) -> tuple[Mapping[str, Array], Array, Array]:
        """Make one batch: inputs by name, labels, and how much each label counts. ``step`` is its seed."""


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how boldly to learn.

    Attributes:
        size: of a batch, in examples times their padded length.
        average: momentum of the running mean of the weights that is kept in the end; 0 keeps the last ones.
    """

    size: int = 4096
    epochs: int = 4
    rate: float = 3e-4
    warm_up: float = 0.06
    decay: float = 0.01
    average: float = 0.0
    save_every: int = 200
    say_every: int = 50


def learn(
    network: keras.Model,
    dealer: Dealer,
    loss: Loss,
    course: Course,
    work: Path,
    *,
    say: Say,
    figures: Callable[[], str],
) -> None:
    """Train ``network`` in place, from where ``work`` says it stopped, and tell ``figures`` after every epoch."""
    import tensorflow as tf

    steps = [(epoch, members) for epoch in range(course.epochs) for members in dealer.epoch(epoch)]
    optimizer = rated(course, len(steps))
    optimizer.build(network.trainable_variables)
    saved = tf.train.CheckpointManager(tf.train.Checkpoint(network=network, optimizer=optimizer), work, 1)
    saved.restore_or_initialize()
    take = _step(network, optimizer, loss)
    recent: list[float] = []
    for number, (epoch, members) in list(enumerate(steps))[int(optimizer.iterations) :]:
        recent.append(take(*dealer.batch(members, number)))
        last = number + 1 == len(steps)
        if len(recent) == course.say_every:
            say(f"step {number + 1} of {len(steps)}: loss {sum(recent) / len(recent):.4f}")
            recent.clear()
        if last or (number + 1) % course.save_every == 0:
            saved.save()
        if last or steps[number + 1][0] > epoch:
            say(f"epoch {epoch + 1}: {figures()}")
    if course.average:
        optimizer.finalize_variable_values(network.trainable_variables)


def rated(course: Course, steps: int) -> keras.optimizers.Optimizer:
    """AdamW whose rate warms up and falls over so many steps."""
    from keras.optimizers import AdamW
    from keras.optimizers.schedules import CosineDecay

    warm = int(course.warm_up * steps)
    rate = CosineDecay(0.0, steps - warm, alpha=0.0, warmup_target=course.rate, warmup_steps=warm)
    optimizer = AdamW(
        rate,
        weight_decay=course.decay,
        global_clipnorm=1.0,
        use_ema=course.average > 0,
        ema_momentum=course.average or None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embedding"])
    return optimizer


def _step(network: keras.Model, optimizer: keras.optimizers.Optimizer, loss: Loss) -> Callable[..., float]:
    import tensorflow as tf

    def step(inputs: Mapping[str, Array], labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(network(inputs, training=True)["scores"], labels, weights)
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    graph = tf.function(step, autograph=False)

    def take(inputs: Mapping[str, Array], labels: tf.Tensor, weights: tf.Tensor) -> float:
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        return float(graph(tensors, tf.constant(labels), tf.constant(weights)))

    return take
