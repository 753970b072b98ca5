"""From a version on disk to a model in memory: checked, loaded, compiled and warmed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.model_card import Limits, ModelCard, TensorSpec
from trigger_api.observability.metrics import Metrics
from trigger_api.runtimes import LoadedModel, digest
from trigger_api.runtimes.speech_embedding import SILENT
from trigger_api.scheduler import BatchQueue, CompiledFunction

Loader = Callable[[Path, ModelCard], LoadedModel]
AssetsLoader = Callable[[Path, ModelCard], Any]
_Shapes = Mapping[str, tuple[tuple[int, ...], str]]
"""Shapes and types of a batch's tensors, by name."""


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
        queues = {length: self._queue(name, card, loaded, length) for length in card.sequence_lengths or (0,)}
        self._warm(queues.values())
        model = Model(card, queues, assets=assets)
        if card.task == "embedding":
            model.silence = _silence(model)
        return model

    def _queue(self, name: str, card: ModelCard, loaded: LoadedModel, length: int) -> BatchQueue:
        limits, specs = self._limits(card), [_fixed(spec, length) for spec in card.inputs]
        sizes = limits.stream_batch_sizes if length == card.stream_length else limits.batch_sizes
        functions = {size: self._compiled(loaded, specs, size) for size in sizes}
        return BatchQueue(name, specs, functions, limits, self._metrics)

    def _compiled(self, loaded: LoadedModel, specs: Sequence[TensorSpec], size: int) -> CompiledFunction:
        if self.stopped:
            raise LoadingStoppedError
        return loaded.compile(specs, size)

    def _warm(self, queues: Iterable[BatchQueue]) -> None:
        """Run every function; one that takes any shape, at the smallest and at the largest of its shapes."""
        inputs: defaultdict[CompiledFunction, list[_Shapes]] = defaultdict(list)
        for queue in queues:
            for size, function in queue.functions.items():
                inputs[function].append({spec.name: ((size, *spec.shape), spec.dtype) for spec in queue.specs})
        for function, shapes in inputs.items():
            for each in _extremes(shapes):
                if self.stopped:
                    raise LoadingStoppedError
                function({name: np.zeros(shape, dtype) for name, (shape, dtype) in each.items()})


def _extremes(shapes: Sequence[_Shapes]) -> list[_Shapes]:
    ordered = sorted(shapes, key=lambda each: sum(math.prod(shape) for shape, _ in each.values()))
    return ordered[:1] + ordered[1:][-1:]


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
