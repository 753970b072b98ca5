"""From a version on disk to a model in memory: checked, loaded, compiled and warmed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.model_card import Limits, ModelCard, TensorSpec
from trigger_api.observability.metrics import Metrics
from trigger_api.runtimes import LoadedModel, digest
from trigger_api.runtimes.speech_embedding import SILENT
from trigger_api.scheduler import BatchQueue, CompiledFunction, Tensors

Loader = Callable[[Path, ModelCard], LoadedModel]
AssetsLoader = Callable[[Path, ModelCard], Any]


@dataclass(frozen=True, slots=True)
class _Batch:
    """The shapes of a batch."""

    specs: Sequence[TensorSpec]
    size: int

    @property
    def numbers(self) -> int:
        return self.size * sum(math.prod(spec.shape) for spec in self.specs)

    def zeros(self) -> Tensors:
        return {spec.name: np.zeros((self.size, *spec.shape), spec.dtype) for spec in self.specs}


class _WarmUp:
    """Runs every function once; one that takes any shape at the first of its batches and at one of middling size."""

    def __init__(self) -> None:
        self._batches: dict[CompiledFunction, list[_Batch]] = {}

    def add(self, function: CompiledFunction, batch: _Batch) -> None:
        if function not in self._batches:
            function(batch.zeros())
        self._batches.setdefault(function, []).append(batch)

    def finish(self) -> None:
        for function, batches in self._batches.items():
            if len(batches) > 1:
                middling = sorted(batches, key=lambda batch: batch.numbers)[len(batches) // 2]
                function(middling.zeros())


class LoadingStoppedError(Exception):
    """The server is shutting down."""


@dataclass(eq=False)
class Model:
    """A version in memory.

    Attributes:
        card: its card.
        queues: its batch queues, by sequence length; by 0 if no input varies in length.
        silence: the embedding of silence, shape ``(size,)``; empty unless this is an embedding model.
        assets: what the task loads beside the weights, such as a vocabulary; None if it needs nothing.
        handles: number of requests that are using it.
    """

    card: ModelCard
    queues: Mapping[int, BatchQueue]
    silence: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    assets: Any = None
    handles: int = 0

    @property
    def queue(self) -> BatchQueue:
        """The only queue of a model whose inputs do not vary in length, else that of its first length."""
        return next(iter(self.queues.values()))


class ModelLoader:
    """Loads versions for a registry, whose arguments of the same names these are.

    Attributes:
        stopped: whether loading ends, at the next batch size at the latest.
    """

    def __init__(
        self,
        load: Loader,
        metrics: Metrics,
        limits: Callable[[ModelCard], Limits],
        assets: Mapping[str, AssetsLoader],
    ) -> None:
        self.stopped = False
        self._load = load
        self._metrics = metrics
        self._limits = limits
        self._assets = assets

    def load(self, name: str, path: Path, card: ModelCard) -> Model:
        """Load a version, and let all of its functions answer once; ``name`` is that of its queues.

        Raises:
            LoadingStoppedError: the server is shutting down.
            ValueError: the weights are not those of the card. The runtime may raise anything else.
        """
        _check_weights(path, card)
        loaded = self._load(path, card)
        read_assets = self._assets.get(card.task)
        assets = read_assets(path, card) if read_assets else None
        warm_up = _WarmUp()
        queues = {length: self._queue(name, card, loaded, length, warm_up) for length in card.sequence_lengths or (0,)}
        self._check_stopped()
        warm_up.finish()
        model = Model(card, queues, assets=assets)
        if card.task == "embedding":
            model.silence = _silence(model)
        return model

    def _queue(self, name: str, card: ModelCard, loaded: LoadedModel, length: int, warm_up: _WarmUp) -> BatchQueue:
        limits, specs = self._limits(card), [_fixed(spec, length) for spec in card.inputs]
        sizes = limits.stream_batch_sizes if length == card.stream_length else limits.batch_sizes
        functions = {size: self._compiled(loaded, specs, size, warm_up) for size in sizes}
        return BatchQueue(name, specs, functions, limits, self._metrics)

    def _compiled(
        self, loaded: LoadedModel, specs: Sequence[TensorSpec], size: int, warm_up: _WarmUp
    ) -> CompiledFunction:
        self._check_stopped()
        function = loaded.compile(specs, size)
        warm_up.add(function, _Batch(specs, size))
        return function

    def _check_stopped(self) -> None:
        if self.stopped:
            raise LoadingStoppedError


def check_backbone(card: ModelCard, embeddings: Sequence[ModelCard]) -> None:
    """Check that the backbone of a head is among the embedding models, and that its embeddings fit.

    Raises:
        ValueError: it is not, or they do not.
    """
    if not card.backbone:
        return
    backbone = next((other for other in embeddings if other.name == card.backbone), None)
    if backbone is None:
        available = ", ".join(sorted({other.name for other in embeddings})) or "none"
        raise ValueError(f"no such backbone: {card.backbone}; available: {available}")
    expected, size = card.inputs[0].shape[-1], backbone.outputs[0].shape[-1]
    if expected != size:
        raise ValueError(f"takes embeddings of size {expected}, but those of backbone {card.backbone} have {size}")


def _check_weights(path: Path, card: ModelCard) -> None:
    """Reject weights that the card was not written for."""
    if card.sha256 and digest(path) != card.sha256:
        raise ValueError("the weights file does not match the card (its SHA-256 differs)")


def _silence(model: Model) -> NDArray[np.float32]:
    """The embedding of silence after silence, which is the same at every step; heads see it before the audio begins."""
    queue = model.queues[min(model.queues)]
    size, function = next(iter(queue.functions.items()))
    mel, *states = queue.specs
    outputs = function(
        {
            mel.name: np.full((size, *mel.shape), SILENT, np.float32),
            **{spec.name: np.zeros((size, *spec.shape), spec.dtype) for spec in states},
        }
    )
    return np.array(outputs[model.card.outputs[0].name][0, -1])


def _fixed(spec: TensorSpec, length: int) -> TensorSpec:
    return spec.model_copy(update={"shape": tuple(length if size < 0 else size for size in spec.shape)})
