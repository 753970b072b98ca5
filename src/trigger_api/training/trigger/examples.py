"""What a student of the speech embedding learns from: scenes as mel features, and what its teacher makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.speech import Samples, keep
from trigger_api.evaluation.trigger.embedder import Embedder
from trigger_api.model_card import MelFrontEnd
from trigger_api.tasks.trigger.mel import Mel
from trigger_api.training.trigger import scenes
from trigger_api.training.trigger.scenes import Pools

PART = 1_000
"""Scenes of a file."""

_SPEECH, _WORDS = 0.5, 0.4  # of the scenes; in the rest nobody speaks


@dataclass(frozen=True)
class Examples:
    """Mel features ``float16[N, 240, 32]`` and the teacher's embeddings ``float16[N, 30, 96]`` of scenes."""

    mels: NDArray[np.float16]
    embeddings: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.mels)


def read(folder: Path, parts: int) -> Examples:
    """The first parts that are kept in a folder."""
    mels, embeddings = (
        np.concatenate([np.load(_path(folder, kind, number)) for number in range(parts)]) for kind in ("mel", "taught")
    )
    return Examples(mels, embeddings)


def build(pools: Pools, folder: Path, parts: int, seed: int) -> Iterator[int]:
    """Make what is not there yet, each part from its own generator; yields the number of each that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(parts):
        if not _path(folder, "taught", number).exists():
            part = _part(pools, [seed, number])
            keep(_path(folder, "mel", number), part.mels)
            keep(_path(folder, "taught", number), part.embeddings)
        yield number


def _path(folder: Path, kind: str, number: int) -> Path:
    return folder / f"{kind}-{number:03}.npy"


def _part(pools: Pools, seeds: list[int]) -> Examples:
    front, embedder = Mel(MelFrontEnd()), Embedder()
    mels, embeddings = [], []
    for number in range(PART):
        mel = front.features(_scene(pools, np.random.default_rng([*seeds, number])))
        mels.append(mel.astype(np.float16))
        embeddings.append(embedder.mels(mels[-1].astype(np.float32)[None])[0].astype(np.float16))
    return Examples(np.stack(mels), np.stack(embeddings))


def _scene(pools: Pools, rng: np.random.Generator) -> Samples:
    kind = rng.random()
    if kind < _SPEECH:
        return scenes.speech_scene(pools, rng)[0]
    scene = scenes.other_scene if kind < _SPEECH + _WORDS else scenes.noise_scene
    return scene(pools, rng)[0]
