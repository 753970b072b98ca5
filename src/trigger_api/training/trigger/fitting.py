"""Fitting a trigger network to scenes: batches, loss, a moving average of the weights, checkpoints.

Everything random comes from the seed and the epoch's number, so a run that was killed goes on from its last epoch to
the same weights as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.training.trigger.corpus import NO_WORD, Bank
from trigger_api.training.trigger.network import Shape, training_network

Floats = NDArray[np.float32]

_WORD_SECONDS = 0.16  # after the word's end the score should be high for this long
_EARLY_SECONDS = 0.08  # shortly before and after that, either is right
_LATE_SECONDS = 0.40
_WARP = 0.12
_SCORED = 128  # scenes at a time: what is made of so few stays in a core's own cache
_EASY = 0.03  # a scene that is heard right is still drawn now and then


@dataclass(frozen=True)
class Schedule:
    """How long and how hard to train."""

    epochs: int = 20
    steps: int = 120
    rate: float = 2e-3
    average: float = 0.995
    word_weight: float = 3.0


@dataclass(frozen=True)
class Share:
    """A bank, and how many scenes of it are in a batch. `hard` ones are drawn more often the worse they are heard."""

    bank: Bank
    scenes: int
    hard: bool = False


def targets(ends: Floats, scores: int, frame_seconds: float) -> tuple[Floats, Floats]:
    """Wanted scores and their weights, both ``(B, scores)``: 1 just after the word, 0 elsewhere, weight 0 between."""
    since = (np.arange(1, scores + 1, dtype=np.float32) * frame_seconds)[None] - ends[:, None]
    said = ends[:, None] != NO_WORD
    wanted = said & (since >= 0) & (since <= _WORD_SECONDS)
    either = said & (since > -_EARLY_SECONDS) & (since < _LATE_SECONDS) & ~wanted
    return wanted.astype(np.float32), (~either).astype(np.float32)


def fit(
    shares: Sequence[Share],
    shape: Shape,
    schedule: Schedule,
    seed: int,
    folder: Path,
    done: Callable[[float], None],
    start: Path | None = None,
    frozen: int = 0,
) -> tuple[Any, list[float]]:
    """Train, or go on training, a network; `folder` keeps the checkpoint, `start` holds weights to begin with.

    Of these, the first `frozen` layers stay as they are.

    Returns the network and the loss of each epoch.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    network = training_network(shape)
    if start is not None:
        network.load_weights(start)
        _freeze(network, frozen)
    rate = keras.optimizers.schedules.CosineDecay(schedule.rate, schedule.epochs * schedule.steps, alpha=0.01)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-3, use_ema=True, ema_momentum=schedule.average)
    optimizer.build(network.trainable_variables)
    losses = tf.Variable(tf.zeros(schedule.epochs))
    epoch_done = tf.Variable(0)
    saved = tf.train.Checkpoint(network=network, optimizer=optimizer, losses=losses, epoch=epoch_done)
    manager = tf.train.CheckpointManager(saved, str(folder), max_to_keep=1)
    saved.restore(manager.latest_checkpoint)
    step = _step(network, optimizer, shape.bands, schedule.word_weight)
    look = tf.function(lambda features: network(features, training=False), autograph=False)
    for epoch in range(int(epoch_done), schedule.epochs):
        rng, total = np.random.default_rng([seed, 2, epoch]), 0.0
        odds = [_odds(look, share) for share in shares]
        for _ in range(schedule.steps):
            total += float(step(*_batch(shares, odds, shape, rng)))
            done(1 / (schedule.epochs * schedule.steps))
        losses[epoch].assign(total / schedule.steps)
        epoch_done.assign(epoch + 1)
        manager.save()
    optimizer.finalize_variable_values(network.trainable_variables)
    return network, [float(loss) for loss in losses.numpy()]


def _freeze(network: Any, layers: int) -> None:
    """Leave the first layers as they are, their normalisation too."""
    for number in range(layers):
        network.get_layer(f"conv{number}").trainable = False
        network.get_layer(f"norm{number}").trainable = False


def _odds(look: Callable[[Floats], Any], share: Share) -> NDArray[np.float64]:
    """How likely each scene of a bank is to be drawn: all the same, or by the highest score where none should be."""
    if not share.hard:
        return np.full(len(share.bank), 1 / len(share.bank))
    heard = [
        np.asarray(look(share.bank.features[k : k + _SCORED].astype(np.float32))).max(axis=1)
        for k in range(0, len(share.bank), _SCORED)
    ]
    odds = _EASY + 1 / (1 + np.exp(-np.concatenate(heard).astype(np.float64)))
    return np.asarray(odds / odds.sum())


def _batch(
    shares: Sequence[Share], odds: Sequence[NDArray[np.float64]], shape: Shape, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats]:
    """Features, wanted scores, weights, and random numbers for augmentation (so that they too follow the seed)."""
    picks = [
        (share.bank, rng.choice(len(share.bank), share.scenes, p=chance))
        for share, chance in zip(shares, odds, strict=True)
    ]
    features = np.concatenate([bank.features[rows] for bank, rows in picks]).astype(np.float32)
    ends = np.concatenate([bank.ends[rows] for bank, rows in picks])
    wanted, weights = targets(ends, features.shape[1] // shape.stride, shape.stride / 100)
    return features, wanted, weights, rng.random((len(ends), 6), dtype=np.float32)


def warps(bands: int, count: int = 17) -> Floats:
    """Matrices ``(count, bands, bands)`` that stretch the band axis by up to 12 % either way: other throats."""
    places = np.arange(bands)
    matrices = np.zeros((count, bands, bands), np.float32)
    for matrix, factor in zip(matrices, np.linspace(1 - _WARP, 1 + _WARP, count), strict=True):
        source = np.clip(places * factor, 0, bands - 1)
        low = np.minimum(source.astype(int), bands - 2)
        matrix[low, places] = 1 - (source - low)
        matrix[low + 1, places] = source - low
    return matrices


def _step(network: Any, optimizer: Any, bands: int, word_weight: float) -> Callable[..., Any]:
    import tensorflow as tf

    stretch = tf.constant(warps(bands))
    variables = network.trainable_variables

    def step(features: Any, wanted: Any, weights: Any, luck: Any) -> Any:
        seen = varied(features, stretch, luck)
        with tf.GradientTape() as tape:
            logits = network(seen, training=True)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits) * weights
            losses *= 1 + (word_weight - 1) * wanted
            loss = tf.reduce_sum(losses) / tf.reduce_sum(weights)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    traced = tf.function(step)
    return lambda *batch: traced(*(tf.constant(part) for part in batch))


def varied(features: Any, stretch: Any, luck: Any) -> Any:
    """Another throat, a shift of level, and a masked stretch of time and of bands."""
    import tensorflow as tf

    choice = tf.cast(luck[:, 0] * stretch.shape[0], tf.int32)
    warped = tf.einsum("btf,bfg->btg", features, tf.gather(stretch, choice))
    shifted = warped + (luck[:, 1, None, None] - 0.5) * 0.4
    frames, bands = tf.shape(features)[1], tf.shape(features)[2]
    quiet = _mask(luck[:, 2], luck[:, 3], frames, 12.0)[:, :, None] * _mask(luck[:, 4], luck[:, 5], bands, 6.0)[:, None]
    return shifted * quiet + (1 - quiet) * tf.reduce_mean(shifted, axis=[1, 2], keepdims=True)


def _mask(place: Any, width: Any, size: Any, longest: float) -> Any:
    """``(B, size)`` of ones, with a stretch of up to `longest` zeros in each row."""
    import tensorflow as tf

    index = tf.range(size, dtype=tf.float32)[None]
    start = place[:, None] * tf.cast(size, tf.float32)
    return tf.cast((index < start) | (index >= start + width[:, None] * longest), tf.float32)
