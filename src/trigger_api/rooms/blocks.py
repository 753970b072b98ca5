"""The hops of many streams as one batch: the front end over all of them, and their lane of the engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.inference import Lane, Tensors
from trigger_api.metrics import Metrics
from trigger_api.rooms.session import Ear, Samples, Session

_QUIET = 1e-10  # the power of -100 dBFS: digital silence has no level


@dataclass(frozen=True)
class Block:
    """The next hop of some sessions. ``open`` are the rows that the network is to hear."""

    sessions: list[Session]
    features: NDArray[np.float32]
    levels_dbfs: list[float]
    open: list[int]


def prepare(ear: Ear, sessions: Sequence[Session], audio: Sequence[bytes]) -> Block:
    """Take in each session's new audio, and compute the features of those that have a whole hop."""
    heard = [(session, session.hear(pcm)) for session, pcm in zip(sessions, audio, strict=True)]
    ready = [session for session, hop in heard if hop is not None]
    if not ready:
        return Block([], np.empty((0, *ear.features.shape), np.float32), [], [])
    samples = np.stack([hop for _, hop in heard if hop is not None])
    features, levels = ear.front.step_all(samples, np.array([session.level_db for session in ready]))
    loudness = _loudness(samples[:, ear.overlap :])
    for session, level in zip(ready, levels.tolist(), strict=True):
        session.level_db = level
    opened = [row for row, session in enumerate(ready) if session.gate is None or session.gate.opens(loudness[row])]
    return Block(ready, features, loudness, opened)


def tensors(ear: Ear, block: Block) -> dict[str, NDArray[np.float32]]:
    """What the network is given of a block."""
    states = np.stack([block.sessions[row].state for row in block.open])
    return {ear.features.name: block.features[block.open], ear.state.name: states}


def _loudness(hops: Samples) -> list[float]:
    power = np.einsum("ij,ij->i", hops, hops) / hops.shape[1]
    loudness: list[float] = np.round(10 * np.log10(power + _QUIET), 1).tolist()
    return loudness


class BlockLane(Lane):
    """A lane whose items are batches already: one caller has collected them from many streams.

    A future for each stream and hop would cost more than the hop itself.

    Args:
        lane: the model's lane for the same shapes; its compiled functions are shared.
    """

    def __init__(self, lane: Lane, metrics: Metrics) -> None:
        super().__init__(f"{lane.name}/stream", lane.specs, lane.runners, lane.limits, metrics)
        self.rows = self.largest
        self.largest = 1

    def check(self, item: Tensors) -> None:
        """Refuse what is no block.

        Raises:
            ValueError: a tensor is missing or has another shape, or there are too many rows.
        """
        for spec in self.specs:
            rows, *shape = item[spec.name].shape if spec.name in item else (0,)
            if tuple(shape) != spec.shape or not 0 < rows <= self.rows:
                raise ValueError(f"{self.name} wants up to {self.rows} of {spec.name} of shape {spec.shape}")

    def compute(self, items: Sequence[Tensors]) -> list[Tensors]:
        """Run the one block, padded up to an allowed size."""
        (block,) = items
        count = len(block[self.specs[0].name])
        size = next(size for size in self.runners if size >= count)
        started = time.monotonic()
        outputs = self.runners[size]({spec.name: _padded(block[spec.name], size) for spec in self.specs})
        self.observe(count, time.monotonic() - started)
        return [{name: tensor[:count] for name, tensor in outputs.items()}]


def _padded(tensor: NDArray[Any], size: int) -> NDArray[Any]:
    missing = size - len(tensor)
    return np.concatenate([tensor, np.zeros((missing, *tensor.shape[1:]), tensor.dtype)]) if missing else tensor
