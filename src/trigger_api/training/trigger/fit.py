"""Fitting a head: windows of embeddings in balanced batches, with hard-negative mining.

Before every epoch all windows without the word are scored, and those that are taken for it are drawn more often.
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

from trigger_api.evaluation.trigger.embedder import STEP_SECONDS
from trigger_api.runtimes.speech_embedding import EMBEDDING
from trigger_api.training.trigger.head import Shape, training_network
from trigger_api.training.trigger.scenes import NO_WORD, Bank

Floats = NDArray[np.float32]

CHECKPOINT = "checkpoint.keras"
# Seconds from a word's end to the windows that hold all of it; windows just outside are neither right nor wrong.
_FIRST, _LAST = 0.02, 0.26
_EARLY, _LATE = 0.2, 0.6
_SCORED = 512  # scenes at a time
_EASIEST, _HARDEST = -12.0, 2.0  # logits: no window is drawn more often for being worse than that


@dataclass(frozen=True)
class Schedule:
    """How long and how hard to train: windows with the word, others at random, and mined ones of each batch."""

    epochs: int = 12
    steps: int = 200
    positives: int = 128
    random: int = 192
    hard: int = 192
    rate: float = 1e-3
    decay: float = 1e-2
    dropout: float = 0.1


@dataclass(frozen=True)
class Windows:
    """Scenes ``float16[N, lead + n, 96]``, and the windows of them with the word and without: (scene, first step)."""

    embeddings: NDArray[np.float16]
    positives: NDArray[np.int32]
    negatives: NDArray[np.int32]
    steps: int

    def take(self, chosen: NDArray[np.int32]) -> Floats:
        """Windows ``[n, steps, 96]``."""
        rows, first = chosen.T
        taken: Floats = self.embeddings[rows[:, None], first[:, None] + np.arange(self.steps)].astype(np.float32)
        return taken


def windows(banks: Sequence[Bank], steps: int, silence: Floats) -> Windows:
    """All windows of some banks; silence precedes each scene."""
    embeddings, ends = (
        np.concatenate(parts) for parts in zip(*((bank.embeddings, bank.ends) for bank in banks), strict=True)
    )
    lead = np.broadcast_to(silence.astype(np.float16), (len(embeddings), steps - 1, EMBEDDING))
    since = (np.arange(1, embeddings.shape[1] + 1) * STEP_SECONDS)[None] - ends[:, None]
    said = ends[:, None] != NO_WORD
    wanted = said & (since >= _FIRST) & (since <= _LAST)
    either = said & (since > -_EARLY) & (since < _LATE) & ~wanted
    positives, negatives = (np.argwhere(mask).astype(np.int32) for mask in (wanted, ~wanted & ~either))
    return Windows(np.concatenate([lead, embeddings], axis=1), positives, negatives, steps)


def fit(
    data: Windows, shape: Shape, schedule: Schedule, seed: int, folder: Path, done: Callable[[float], None]
) -> tuple[Any, list[float]]:
    """Train, or go on training, a head; `folder` keeps the checkpoint, `done` is told each part that is trained.

    Returns the training network and the loss of each epoch since the run began or went on.
    """
    import keras

    keras.utils.set_random_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    network = _resumed(folder / CHECKPOINT) or _compiled(data, shape, schedule)
    losses: list[float] = []
    for epoch in range(int(network.optimizer.iterations) // schedule.steps, schedule.epochs):
        _reseed(network, seed, epoch)
        batches = _batches(data, _hardness(network, data) if epoch else None, shape, schedule, [seed, epoch])
        history = network.fit(batches, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0)
        losses += history.history["loss"]
        _keep(network, folder / CHECKPOINT)
        done(1 / schedule.epochs)
    return network, losses


def _compiled(data: Windows, shape: Shape, schedule: Schedule) -> Any:
    import keras

    some = data.embeddings[:: max(1, len(data.embeddings) // 2_000)].reshape(-1, EMBEDDING).astype(np.float32)
    network = training_network(shape, some.mean(axis=0), some.std(axis=0) + 1e-3, schedule.dropout)
    rate = keras.optimizers.schedules.CosineDecay(schedule.rate, schedule.epochs * schedule.steps, alpha=0.02)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    network.compile(keras.optimizers.AdamW(rate, weight_decay=schedule.decay), loss)
    return network


def _resumed(path: Path) -> Any | None:
    import keras

    return keras.models.load_model(path, safe_mode=True) if path.exists() else None


def _reseed(network: Any, seed: int, epoch: int) -> None:
    """Dropout draws the same numbers in an epoch, whether the run went on before it or not."""
    for number, layer in enumerate(network.layers):
        if hasattr(layer, "seed_generator"):
            layer.seed_generator.state.assign([seed * 1_000 + epoch, number])


def _keep(network: Any, path: Path) -> None:
    """Whole or not at all, whenever the run is killed."""
    network.save(part := path.with_suffix(".part.keras"))
    part.replace(path)


def _hardness(network: Any, data: Windows) -> NDArray[np.float64]:
    """How likely each negative is to be mined, as cumulative odds: as much as it is taken for the word."""
    parts = [
        np.asarray(network(data.embeddings[k : k + _SCORED].astype(np.float32), training=False)).mean(axis=-1)
        for k in range(0, len(data.embeddings), _SCORED)
    ]
    logits = np.concatenate(parts)[tuple(data.negatives.T)].astype(np.float64)
    return np.cumsum(1 / (1 + np.exp(-np.clip(logits, _EASIEST, _HARDEST))))


def _batches(
    data: Windows, odds: NDArray[np.float64] | None, shape: Shape, schedule: Schedule, seeds: Sequence[int]
) -> Any:
    """One epoch of batches; without odds, negatives are drawn evenly."""
    import keras

    def drawn(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        if odds is None:
            return np.asarray(rng.integers(len(data.negatives), size=count))
        return np.asarray(np.searchsorted(odds, rng.random(count) * odds[-1]), np.int64)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        """Each batch from a generator of its own: windows ``[n, steps, 96]`` and what every member should say."""

        def __len__(self) -> int:
            return schedule.steps

        def __getitem__(self, number: int) -> tuple[Floats, Floats]:
            rng = np.random.default_rng([*seeds, number])
            positives = data.positives[rng.integers(len(data.positives), size=schedule.positives)]
            easy = data.negatives[rng.integers(len(data.negatives), size=schedule.random)]
            chosen = np.concatenate([positives, easy, data.negatives[drawn(rng, schedule.hard)]])
            wanted = np.zeros((len(chosen), 1, shape.members), np.float32)
            wanted[: len(positives)] = 1
            return data.take(chosen), wanted

    return Batches()
