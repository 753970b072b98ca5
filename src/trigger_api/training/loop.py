"""The training loop of every recipe: Keras's ``fit``, with AdamW, a warm-up, a cosine decay, and a checkpoint."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

Log = Callable[[str], None]
Batch = tuple[Any, ...]
"""Inputs by name, targets and, optionally, sample weights."""

CHECKPOINT = "checkpoint.weights.h5"
_LOG_EVERY = 100  # steps


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Hyperparameters of a training run.

    Attributes:
        batch_size: in examples; for named entities in tokens, padding included.
        epochs: passes over the data.
        learning_rate: at its peak.
        warm_up: share of the steps in which the learning rate rises to its peak; then it falls to 0 along a cosine.
        weight_decay: of kernels; biases, normalisation and embeddings do not decay.
        ema: momentum of the exponential moving average of the weights, which replaces them in the end; 0 for none.
    """

    batch_size: int = 4096
    epochs: int = 4
    learning_rate: float = 3e-4
    warm_up: float = 0.06
    weight_decay: float = 0.01
    ema: float = 0.0


class BatchSampler(keras.utils.PyDataset):  # type: ignore[misc]
    """All batches of a training run, one epoch after the other.

    Everything random comes from the number of the epoch or the step, so that a resumed run sees the batches that it
    would have seen.

    Attributes:
        varying: whether axes whose size the model's inputs leave open differ from batch to batch.
        first_step: where to begin.
    """

    varying = False

    def __init__(self, config: TrainingConfig, rows: Any = 0, *, size: int = 0, seed: Sequence[int] = ()) -> None:
        """``rows`` are row numbers, or how many there are; ``size`` is that of a batch, if not the configured one."""
        super().__init__()
        self.first_step = 0
        self._epochs = config.epochs
        self._rows = rows
        self._size = size or config.batch_size
        self._seed = seed

    def epoch(self, number: int) -> Sequence[Sequence[Any]]:
        """Shuffle the rows into batches of one size; the few left over wait for another epoch."""
        order = np.random.default_rng([number, *self._seed]).permutation(self._rows).tolist()
        return [order[start : start + self._size] for start in range(0, len(order) - self._size + 1, self._size)]

    @abstractmethod
    def batch(self, members: Sequence[Any], step: int) -> Batch:
        """Make one batch; ``step`` is its seed."""

    @cached_property
    def steps(self) -> list[Sequence[Any]]:
        """The members of every batch."""
        return [members for number in range(self._epochs) for members in self.epoch(number)]

    def __len__(self) -> int:
        return len(self.steps) - self.first_step

    def __getitem__(self, index: int) -> Batch:
        step = self.first_step + index
        return self.batch(self.steps[step], step)


def train(
    model: keras.Model,
    sampler: BatchSampler,
    config: TrainingConfig,
    work: Path,
    *,
    loss: Any = None,
    log: Log = lambda _: None,
    metrics: Callable[[], str] = str,
) -> None:
    """Train a model in place, or resume after the last epoch that ``work`` holds a checkpoint of.

    Args:
        model: a functional model whose inputs have names, or one with a ``compute_loss`` of its own.
        sampler: the batches.
        config: how long and how fast to train.
        work: folder of the checkpoint.
        loss: as ``compile`` takes it.
        log: is given a line of progress at a time.
        metrics: what to report after each epoch, besides the loss.

    Raises:
        OSError: the checkpoint cannot be read or written.
        ValueError: there are fewer examples than a batch needs.
    """
    steps = len(sampler) // config.epochs
    if not steps:
        raise ValueError("there are fewer examples than a batch needs")
    # XLA would compile convolutions for minutes that then run no faster on a CPU.
    jit = "auto" if keras.backend.backend() == "jax" else False
    model.compile(make_optimizer(config, len(sampler)), loss, jit_compile=jit)
    sampler.first_step = _restore(model, work / CHECKPOINT)
    if sampler.first_step < steps * config.epochs:
        model.fit(
            _varying(sampler, model.input) if sampler.varying else sampler,
            initial_epoch=sampler.first_step // steps,
            epochs=config.epochs,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[_Checkpoint(work / CHECKPOINT), _Progress(log, metrics)],
        )
    elif config.ema:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    sampler.first_step = 0


def make_optimizer(config: TrainingConfig, steps: int) -> keras.optimizers.Optimizer:
    """AdamW for a run of so many steps."""
    optimizer = keras.optimizers.AdamW(
        lr_schedule(config, steps),
        weight_decay=config.weight_decay,
        global_clipnorm=1.0,
        use_ema=config.ema > 0,
        ema_momentum=config.ema or None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embedding"])
    return optimizer


def lr_schedule(config: TrainingConfig, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A linear warm-up, then a cosine down to 0."""
    warm_up = int(config.warm_up * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, alpha=0.0, warmup_target=config.learning_rate, warmup_steps=warm_up
    )


def _restore(model: keras.Model, checkpoint: Path) -> int:
    """Load weights and optimizer, if there is a checkpoint; the number of steps taken."""
    if checkpoint.exists():
        model.optimizer.build(model.trainable_variables)
        model.load_weights(checkpoint)
    return int(model.optimizer.iterations)


def _varying(sampler: BatchSampler, inputs: dict[str, Any]) -> Any:
    """The sampler as a dataset of TensorFlow: Keras would expect of all batches what two have in common."""
    import tensorflow as tf

    names, *others = sampler[0]
    shapes = {name: tf.TensorSpec(inputs[name].shape, array.dtype) for name, array in names.items()}
    rest = (tf.TensorSpec([None] * array.ndim, array.dtype) for array in others)
    return tf.data.Dataset.from_generator(lambda: iter(sampler), output_signature=(shapes, *rest)).prefetch(2)


class _Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves weights and optimizer after each epoch: whole or not at all, whenever the run is killed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        del epoch, logs
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.model.save_weights(part := self._path.with_name(f"part-{CHECKPOINT}"))
        part.replace(self._path)


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Logs the mean loss of an epoch, every so many steps and at its end."""

    def __init__(self, log: Log, metrics: Callable[[], str]) -> None:
        super().__init__()
        self._log = log
        self._metrics = metrics

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (batch + 1) % _LOG_EVERY == 0:
            self._log(f"step {batch + 1} of {self.params['steps']}: loss {logs['loss']:.4f}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._log(f"epoch {epoch + 1}: loss {logs['loss']:.4f} {self._metrics()}".rstrip())
