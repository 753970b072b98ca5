"""The layers below any word: a network that tells speech sounds apart, learned from many people who speak.

With every score it names the sounds of the last 0.6 s, at several moments of them. That is what words are made of: one
that is learned on top needs fewer recordings.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.cards import LogMelFrontEnd
from trigger_api.tasks.log_mel import LogMel
from trigger_api.training.trigger import augment, phrases
from trigger_api.training.trigger.corpus import SCENE, Pools, picked, staged
from trigger_api.training.trigger.fitting import varied, warps
from trigger_api.training.trigger.material import read_all
from trigger_api.training.trigger.network import Shape, training_network
from trigger_api.training.trigger.phones import HOP, SILENCE, SOUNDS, Labels, Utterance, labelled, read_aloud
from trigger_api.training.trigger.recordings import Samples, audio_files

ENDING = ".weights.h5"  # Keras writes weights under no other name
LAGS = (6, 16, 26, 38, 50, 64)  # how long before a score the sounds are that it names, in frames of 10 ms

_SILENT_WEIGHT = 0.3  # more than half of all frames are silence
_FRAMES = SCENE // HOP
_AT_ONCE = 64
_LONG = 260  # frames; a clip that is longer holds more than a word
_HELD_OUT = 15  # one clip of so many is kept to measure with

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Plan:
    """How much to learn from, and how long."""

    scenes: int = 3_500
    sentences: int = 700
    epochs: int = 16
    steps: int = 120
    batch: int = 64
    rate: float = 3e-3
    average: float = 0.995
    shape: Shape = field(default_factory=Shape)


@dataclass(frozen=True)
class Bank:
    """Scenes as features ``float16[N, T, bands]``, and the number of the sound in each frame ``[N, T]``."""

    features: NDArray[np.float16]
    labels: Labels


def train_trunk(
    speech: Sequence[Path], noise: Sequence[Path], out: Path, *, seed: int = 0, plan: Plan | None = None
) -> float:
    """Learn from everybody in `speech` and write the weights, those of a word's network, to the file `out`.

    Killed and started again with the same arguments, it goes on from its last epoch. Returns the share of the sounds
    that it names right in clips that it did not learn from.

    Raises:
        ValueError: `out` is not named ``NAME.weights.h5``.
    """
    if not out.name.endswith(ENDING):
        raise ValueError(f"{out}: weights are written to a file that is named NAME{ENDING}")
    plan, work = plan or Plan(), out.with_suffix(".training")
    people = labelled(audio_files(speech), work / "labels")
    known, new = [one for number, one in enumerate(people) if number % _HELD_OUT], people[::_HELD_OUT]
    noises = read_all(audio_files(noise))
    bank = build(plan.scenes, balanced(known, work, plan.sentences, seed), noises, plan.shape.bands, seed)
    network, names = learn(bank, plan, seed, work / "checkpoint")
    network.save_weights(out)
    test = build(max(1, plan.scenes // 20), new, noises, plan.shape.bands, seed + 1)
    shutil.rmtree(work)
    return named_right(names, test, plan.shape.stride)


def balanced(people: Sequence[Utterance], work: Path, sentences: int, seed: int) -> list[Utterance]:
    """With more of running speech, and prose by synthetic voices: single words are the same few again and again."""
    running = [one for one in people if len(one.labels) > _LONG]
    prose = np.random.default_rng(seed).permutation(phrases.prose(""))[:sentences]
    return [*people, *running, *running, *read_aloud([str(text) for text in prose], work / "prose", seed)]


def scene(people: Sequence[Utterance], pools: Pools, rng: np.random.Generator) -> tuple[Samples, Labels]:
    """Pieces of what people say, one after another, by other voices, somewhere; and the sound in each 10 ms."""
    canvas, labels = np.zeros(SCENE, np.float32), np.full(_FRAMES, SILENCE, np.uint8)
    at = int(rng.uniform(0, 30))
    while at < _FRAMES:
        piece = another_voice(cut(picked(people, rng), rng), rng)
        size = min(len(piece.labels), _FRAMES - at)
        canvas[at * HOP : (at + size) * HOP] = piece.samples[: size * HOP]
        labels[at : at + size] = piece.labels[:size]
        at += size + int(rng.exponential(10))
    return staged(canvas, pools, rng), labels


def cut(said: Utterance, rng: np.random.Generator) -> Utterance:
    """A piece of up to a scene's length, at a peak of 1."""
    start = int(rng.integers(max(1, len(said.labels) - _FRAMES // 2)))
    samples = said.samples[start * HOP : (start + _FRAMES) * HOP]
    loud = samples / (np.abs(samples).max(initial=0) + 1e-4)
    return Utterance(np.asarray(loud, np.float32), said.labels[start : start + _FRAMES])


def another_voice(said: Utterance, rng: np.random.Generator) -> Utterance:
    """By another throat at another pace; the sounds move along."""
    samples = augment.another_voice(said.samples, rng, strength=0.7)
    frames = len(samples) // HOP
    moved = np.arange(frames) * len(said.labels) // max(frames, 1)
    return Utterance(samples[: frames * HOP], said.labels[moved])


def build(count: int, people: Sequence[Utterance], noise: Sequence[Samples], bands: int, seed: int) -> Bank:
    """So many scenes, each from its own generator."""
    task = partial(_build, people, Pools([], [], [], noise), bands, seed)
    processes = os.cpu_count() or 1
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(task, np.array_split(np.arange(count), min(count, processes))))
    return Bank(*(np.concatenate(parts) for parts in zip(*made, strict=True)))


def _build(
    people: Sequence[Utterance], pools: Pools, bands: int, seed: int, numbers: NDArray[np.int64]
) -> tuple[NDArray[np.float16], Labels]:
    front = LogMel(LogMelFrontEnd(bands=bands))
    made = [scene(people, pools, np.random.default_rng([seed, int(number)])) for number in numbers]
    features = np.stack([front.features(samples).astype(np.float16) for samples, _ in made])
    return features, np.stack([labels for _, labels in made])


def lagged(labels: Labels, stride: int) -> NDArray[np.uint8]:
    """For every score the sounds at `LAGS` before it: ``[N, T]`` to ``[N, T / stride, lags]``."""
    longest = max(LAGS)
    padded = np.pad(labels, ((0, 0), (longest, 0)), constant_values=SILENCE)
    ends = np.arange(stride - 1, labels.shape[1], stride)
    return np.stack([padded[:, ends + longest - lag] for lag in LAGS], axis=-1)


def learn(bank: Bank, plan: Plan, seed: int, folder: Path, done: Advance = lambda part: None) -> tuple[Any, Any]:
    """Two networks of the same layers: a word's, whose output has learned nothing yet, and one that names sounds."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    network = training_network(plan.shape)
    names = _naming(network)
    rate = keras.optimizers.schedules.CosineDecay(plan.rate, plan.epochs * plan.steps, alpha=0.01)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-3, use_ema=True, ema_momentum=plan.average)
    optimizer.build(names.trainable_variables)
    epoch_done = tf.Variable(0)
    saved = tf.train.Checkpoint(network=names, optimizer=optimizer, epoch=epoch_done)
    manager = tf.train.CheckpointManager(saved, str(folder), max_to_keep=1)
    saved.restore(manager.latest_checkpoint)
    step, wanted = _step(names, optimizer, plan.shape.bands), lagged(bank.labels, plan.shape.stride)
    for epoch in range(int(epoch_done), plan.epochs):
        rng = np.random.default_rng([seed, 3, epoch])
        for _ in range(plan.steps):
            rows = rng.integers(len(wanted), size=plan.batch)
            luck = rng.random((plan.batch, 6), dtype=np.float32)
            step(bank.features[rows].astype(np.float32), wanted[rows].astype(np.int32), luck)
            done(1 / (plan.epochs * plan.steps))
        epoch_done.assign(epoch + 1)
        manager.save()
    optimizer.finalize_variable_values(names.trainable_variables)
    return network, names


def _naming(network: Any) -> Any:
    """The layers below a network's output, with scores ``(B, T / stride, lags, sounds)``."""
    import keras

    top = network.get_layer("word").input
    sounds = keras.layers.Dense(len(LAGS) * len(SOUNDS), name="sounds")(top)
    return keras.Model(network.input, keras.layers.Reshape((-1, len(LAGS), len(SOUNDS)))(sounds))


def _step(names: Any, optimizer: Any, bands: int) -> Callable[..., Any]:
    import tensorflow as tf

    stretch, variables = tf.constant(warps(bands)), names.trainable_variables

    def step(features: Any, wanted: Any, luck: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = names(varied(features, stretch, luck), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
            weights = tf.where(wanted == SILENCE, _SILENT_WEIGHT, 1.0)
            loss = tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    traced = tf.function(step)
    return lambda *batch: traced(*(tf.constant(part) for part in batch))


def named_right(names: Any, bank: Bank, stride: int) -> float:
    """Of the sounds, silence apart, the share that is named right."""
    wanted = lagged(bank.labels, stride)
    parts = np.array_split(bank.features, -(-len(wanted) // _AT_ONCE))
    named = np.concatenate([np.asarray(names(part.astype(np.float32))) for part in parts])
    return float((named.argmax(axis=-1) == wanted)[wanted != SILENCE].mean())
