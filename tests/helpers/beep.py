"""A beep as a trigger word: cards, a model in NumPy that detects it, and audio."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from trigger_api.model_card import (
    CARD_FILE,
    WEIGHTS_FILE,
    Decision,
    Limits,
    MelFrontEnd,
    ModelCard,
    SpectrogramFrontEnd,
    TensorSpec,
    write_card,
)
from trigger_api.scheduler import CompiledFunction, Tensors

BACKBONE = "beep-embedding"
BEEP_HZ = 3_000
_BANDS, _NEAR = 32, slice(26, 31)  # of all, and those around the beep


def trigger_card(name: str = "beep", version: str = "1", *, limits: Limits | None = None) -> ModelCard:
    """A card whose model is a head that detects a beep at 3 kHz in the latest of three embeddings."""
    return ModelCard(
        task="trigger",
        name=name,
        version=version,
        inputs=(TensorSpec(name="embeddings", shape=(-1, 2)),),
        outputs=(TensorSpec(name="scores", shape=(-1,)),),
        sequence_lengths=(3, 10),
        frame_ms=80.0,
        context=2,
        backbone=BACKBONE,
        decision=Decision(threshold=0.5, refractory_ms=300, delay_ms=70),
        limits=limits or Limits(batch_sizes=(1, 2, 4), stream_batch_sizes=(1, 2, 4)),
    )


def embedding_card(*, limits: Limits | None = None) -> ModelCard:
    """A card whose model says how much beeps there are in the latest 80 ms, and in those before, which it remembers."""
    state = TensorSpec(name="state", shape=(1,))
    return ModelCard(
        task="embedding",
        name=BACKBONE,
        version="1",
        inputs=(TensorSpec(name="mel", shape=(-1, _BANDS)), state),
        outputs=(TensorSpec(name="embeddings", shape=(-1, 2)), state),
        sequence_lengths=(8, 64),
        frame_ms=80.0,
        context=1,
        front_end=MelFrontEnd(),
        limits=limits or Limits(batch_sizes=(1, 2, 4), stream_batch_sizes=(1, 2, 4)),
    )


def plain_card(name: str = "beep", version: str = "1", **changes: object) -> ModelCard:
    """The card of some model without a backbone, with windows of 8 and of 64."""
    card = ModelCard(
        task="trigger",
        name=name,
        version=version,
        inputs=(TensorSpec(name="features", shape=(-1, 40)),),
        outputs=(TensorSpec(name="scores", shape=(-1,)),),
        sequence_lengths=(8, 64),
        frame_ms=10.0,
        context=4,
        front_end=SpectrogramFrontEnd(),
        decision=Decision(),
        limits=Limits(batch_sizes=(1, 2, 4)),
    )
    return card.model_copy(update=changes)


class BeepModel:
    """Both parts of it, and what a plain card needs, in numpy. Counts its calls."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """A function for batches of this size; it waits at the gate."""
        first = specs[0].name
        compute = {"mel": _embed, "embeddings": _score}.get(first, _loudest)

        def run(tensors: Tensors) -> Tensors:
            assert tensors[first].shape == (batch, *specs[0].shape)
            assert self.gate.wait(10)
            self.batches.append(batch)
            return compute(tensors)

        return run


def _embed(tensors: Tensors) -> Tensors:
    """How many of the frames of each step are of a beep, and the same of the step before."""
    mel = tensors["mel"]
    beep = mel[..., _NEAR].max(axis=-1) - np.median(mel, axis=-1) > 1.0
    steps = beep.reshape(len(mel), -1, 8).mean(axis=-1, dtype=np.float32)
    before = np.concatenate([tensors["state"], steps[:, :-1]], axis=1)
    return {"embeddings": np.stack([steps, before], axis=-1), "state": steps[:, -1:]}


def _score(tensors: Tensors) -> Tensors:
    return {"scores": (tensors["embeddings"][:, 2:].max(axis=-1) > 0.2).astype(np.float32)}


def _loudest(tensors: Tensors) -> Tensors:
    return {"scores": tensors["features"].max(axis=-1)}


def beeps(ends_s: Sequence[float], *, seconds: float, rate: int = 16_000) -> NDArray[np.float32]:
    """A quiet hiss with beeps of 200 ms that end at the given seconds."""
    time = np.arange(round(seconds * rate)) / rate
    hiss = np.random.default_rng(0).normal(0, 1e-3, len(time))
    gate = np.any([(end - 0.2 <= time) & (time < end) for end in ends_s], axis=0) if len(ends_s) else 0
    return np.asarray(hiss + 0.3 * np.sin(2 * np.pi * BEEP_HZ * time) * gate, np.float32)


def encode(
    samples: NDArray[np.float32], rate: int = 16_000, kind: str = "WAV", subtype: str | None = "PCM_16"
) -> bytes:
    """Samples ``(n,)`` or ``(n, channels)`` as the bytes of a file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def add_model(root: Path, card: ModelCard, weights: bytes = b"no weights") -> Path:
    """Write a model folder; a head comes with its backbone."""
    if card.backbone == BACKBONE and not (root / "embedding").exists():
        add_model(root, embedding_card())
    folder = root / card.task / card.name / card.version
    folder.mkdir(parents=True)
    write_card(folder, card)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    assert (folder / CARD_FILE).exists()
    return folder
