"""Which models are served: found in folders, loaded and warmed off the serving threads, swapped without a gap."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from trigger_api.errors import NotReady, UnknownModel
from trigger_api.model_card import WEIGHTS_FILE, Limits, ModelCard, TensorSpec, weights
from trigger_api.observability import memory
from trigger_api.observability.metrics import Metrics
from trigger_api.runtimes import LoadedModel
from trigger_api.runtimes.speech_embedding import SILENT
from trigger_api.scheduler import BatchQueue, CompiledFunction, Scheduler

BUNDLED = Path(__file__).parent / "models"
Loader = Callable[[Path, ModelCard], LoadedModel]
AssetsLoader = Callable[[Path, ModelCard], Any]
_log = structlog.get_logger(__name__)


class State(StrEnum):
    """Where a version is in its life."""

    FOUND = "found"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADED = "unloaded"


_IN_WORDS = {State.FOUND: "is not loaded yet", State.FAILED: "failed to load"}


@dataclass(eq=False)
class Model:
    """A version in memory.

    Attributes:
        card: what it says of itself.
        lanes: of the engine, by window length; 0 where nothing varies.
        silence: the embedding ``[numbers]`` of silence; empty of other models than embeddings.
        assets: what its task reads beside the weights, a vocabulary for instance; None if the task needs nothing.
        handles: requests that use it.
    """

    card: ModelCard
    queues: Mapping[int, BatchQueue]
    silence: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    assets: Any = None
    handles: int = 0

    @property
    def queue(self) -> BatchQueue:
        """The queue of a model whose inputs do not vary in length; else that of its first length."""
        return next(iter(self.queues.values()))


@dataclass(eq=False)
class ModelVersion:
    """One version on disk, and what has become of it. ``fingerprint`` changes when its files do."""

    card: ModelCard
    path: Path
    labels: frozenset[str] = frozenset()
    fingerprint: object = None
    state: State = State.FOUND
    reason: str = ""
    model: Model | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """Task, name and version."""
        return self.card.task, self.card.name, self.card.version

    @property
    def size(self) -> int:
        """Bytes that its weights take in memory: single precision, whatever the file holds."""
        return max(sum(file.stat().st_size for file in weights(self.path)), 4 * self.card.parameters)


class _ClosedError(Exception):
    """There is no sense in loading on: the server ends."""


class Registry:
    """The models of one server.

    Args:
        entries: what may be served; of a task's models the first is its default.
        load: reads weights; it may take seconds and is never called on a serving thread.
        limits: the limits in force for a card.
        budget: bytes that all weights together may take; no limit if not given.
        assets: by task, what reads the files beside the weights; it is called where ``load`` is.
    """

    def __init__(
        self,
        entries: Sequence[ModelVersion],
        load: Loader,
        scheduler: Scheduler,
        metrics: Metrics,
        limits: Callable[[ModelCard], Limits] = lambda card: card.limits,
        budget: int | None = None,
        assets: Mapping[str, AssetsLoader] | None = None,
    ) -> None:
        self.versions = list(entries)
        self._load = load
        self._scheduler = scheduler
        self._metrics = metrics
        self._limits = limits
        self._budget = budget
        self._assets = dict(assets or {})
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one load at a time, whoever asks
        self._first = {entry.key[:2] for entry in entries}
        self._loaded = False
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether every model has a version that answered at every batch size.

        Only models that were there from the start count: a broken newcomer must not stop the ones that serve.
        """
        waited_for = {entry.key[:2] for entry in self.versions} & self._first
        served = {entry.key[:2] for entry in self.versions if entry.model or entry.state is State.UNLOADED}
        return self._loaded and not self._closed and waited_for <= served

    def load_all(self) -> None:
        """Load every model, one after the other. A broken one is marked, and the rest still load."""
        for entry in self.versions:
            if not self._closed:
                self.load(entry)
        self._loaded = True

    def close(self) -> None:
        """Be ready no more, and begin no further load. What is loaded still answers what was accepted."""
        self._closed = True

    def load(self, entry: ModelVersion) -> None:
        """Load and warm a version, then swap it in. When that fails, what served before goes on serving."""
        with self._loading:
            entry.state, entry.reason = State.LOADING, ""
            try:
                model = self._load_and_warm(entry)
            except _ClosedError:
                return
            except Exception as error:  # whatever is wrong with one model must not stop the others
                _log.error("model failed to load", model=_name(entry), exc_info=error)
                entry.reason = _reason(error, entry)
                entry.state = State.READY if entry.model else State.FAILED
                return
            old = self._swap(entry, model)
        self._release(old)
        _log.info("model ready", model=_name(entry))

    def load_with_backbone(self, entry: ModelVersion) -> None:
        """Load a version and, before it, the model whose embeddings it takes, if that does not serve yet."""
        if entry.card.backbone:
            backbone = self.find("embedding", entry.card.backbone)
            if backbone.model is None:
                self.load(backbone)
        self.load(entry)

    def unload(self, entry: ModelVersion) -> None:
        """Stop serving a version; its last handle takes the memory with it."""
        old = self._swap(entry, None)
        self._release(old)

    def sync(self, found: Sequence[ModelVersion]) -> None:
        """Follow the disk: load what is new or changed, let go of what is gone."""
        known = {entry.key: entry for entry in self.versions}
        kept = [known.get(entry.key, entry) for entry in found]
        gone = [entry for entry in self.versions if entry not in kept]
        self.versions = kept
        for entry, now in zip(kept, found, strict=True):
            entry.labels = now.labels
            if entry is now or entry.fingerprint != now.fingerprint:
                entry.card, entry.path, entry.fingerprint = now.card, now.path, now.fingerprint
                self.load(entry)
        for entry in gone:
            self.unload(entry)

    @contextmanager
    def acquire(self, task: str | None, name: str | None = None, version: str | None = None) -> Iterator[Model]:
        """Pin one version for a whole request; see ``find`` for which.

        Raises:
            UnknownModel: there is none of that task, name or version.
            NotReady: it is loading (come back soon), failed to load, or was unloaded.
        """
        model = self._pin(task, name, version)
        try:
            yield model
        finally:
            with self._lock:
                model.handles -= 1
            self._release(model)

    def find(self, task: str | None, name: str | None = None, version: str | None = None) -> ModelVersion:
        """The version a request means.

        Args:
            task: a task, or None for a name of any task.
            name: the task's first one if not given.
            version: a number, a label, or ``latest``; if not given, what is labelled ``stable``, or else the latest.

        Raises:
            UnknownModel: there is none.
        """
        named = [entry for entry in self.versions if task in (None, entry.card.task)]
        name = name or (named[0].card.name if named else None)
        versions = [entry for entry in named if entry.card.name == name]
        found = _versions(versions, version)
        if not found:
            there = sorted({(entry.card.name, int(entry.card.version)) for entry in named})
            known = ", ".join(f"{name} {number}" for name, number in there) or "none"
            raise UnknownModel(f"no such {task or ''} model or version; there is: {known}".replace("  ", " "))
        return max(found, key=lambda entry: (entry.model is not None, int(entry.card.version)))

    def _pin(self, task: str | None, name: str | None, version: str | None) -> Model:
        entry = self.find(task, name, version)
        with self._lock:
            if entry.model is None:
                soon = entry.state in (State.FOUND, State.LOADING)
                state = _IN_WORDS.get(entry.state, f"is {entry.state}")
                reason = f": {entry.reason}" if entry.reason else ""
                raise NotReady(f"{_name(entry)} {state}{reason}", retry_after=2 if soon else None)
            entry.model.handles += 1
            return entry.model

    def _swap(self, entry: ModelVersion, model: Model | None) -> Model | None:
        for queue in model.queues.values() if model else ():
            self._scheduler.add(queue)
        with self._lock:
            old, entry.model = entry.model, model
            entry.state = State.READY if model else State.UNLOADED
        return old

    def _release(self, model: Model | None) -> None:
        """Let a version's lanes go once it is neither served nor in use."""
        with self._lock:
            serving = any(entry.model is model for entry in self.versions)
            if model is None or serving or model.handles:
                return
        for queue in model.queues.values():
            self._scheduler.remove(queue)
        memory.gc_unfreeze()

    def _load_and_warm(self, entry: ModelVersion) -> Model:
        _check(entry)
        self._check_backbone(entry.card)
        self._check_memory_budget(entry)
        network = self._load(entry.path, entry.card)
        read_assets = self._assets.get(entry.card.task)
        assets = read_assets(entry.path, entry.card) if read_assets else None
        limits = self._limits(entry.card)
        lengths = entry.card.sequence_lengths or (0,)
        queues = {length: self._queue(entry, network, length, limits) for length in lengths}
        model = Model(entry.card, queues, assets=assets)
        if entry.card.task == "embedding":
            model.silence = _silence(model)
        return model

    def _check_backbone(self, card: ModelCard) -> None:
        """Refuse a head whose embeddings nobody computes, or which takes others."""
        if not card.backbone:
            return
        embeddings = [other.card for other in self.versions if other.card.task == "embedding"]
        backbone = next((other for other in embeddings if other.name == card.backbone), None)
        if backbone is None:
            there = ", ".join(sorted({other.name for other in embeddings})) or "none"
            raise ValueError(f"its backbone {card.backbone} is not among the embedding models; there is: {there}")
        taken, given = card.inputs[0].shape[-1], backbone.outputs[0].shape[-1]
        if taken != given:
            raise ValueError(f"it takes embeddings of {taken} numbers, and its backbone {card.backbone} gives {given}")

    def _check_memory_budget(self, entry: ModelVersion) -> None:
        if self._budget is None:
            return
        taken = sum(other.size for other in self.versions if other.model and other is not entry)
        if taken + entry.size > self._budget:
            needed, left = (round(size / 2**20, 1) for size in (entry.size, self._budget - taken))
            raise ValueError(f"{_name(entry)} needs {needed} MiB; of the memory budget {left} MiB are left")

    def _queue(self, entry: ModelVersion, network: LoadedModel, length: int, limits: Limits) -> BatchQueue:
        specs = [_fixed(spec, length) for spec in entry.card.inputs]
        sizes = limits.stream_batch_sizes if length == entry.card.stream_length else limits.batch_sizes
        functions = {size: self._compiled(network, specs, size) for size in sizes}
        return BatchQueue(_name(entry), specs, functions, limits, self._metrics)

    def _compiled(self, network: LoadedModel, specs: Sequence[TensorSpec], size: int) -> CompiledFunction:
        """A runner that has answered: a model is not ready before a real inference at every size."""
        if self._closed:
            raise _ClosedError
        function = network.compile(specs, size)
        function({spec.name: np.zeros((size, *spec.shape), spec.dtype) for spec in specs})
        return function


def _silence(model: Model) -> NDArray[np.float32]:
    """What a head has heard before a recording begins: every step of silence, after silence, gives the same."""
    queue = model.queues[min(model.queues)]
    size, run = next(iter(queue.functions.items()))
    mel, *states = queue.specs
    answer = run(
        {
            mel.name: np.full((size, *mel.shape), SILENT, np.float32),
            **{spec.name: np.zeros((size, *spec.shape), spec.dtype) for spec in states},
        }
    )
    return np.array(answer[model.card.outputs[0].name][0, -1])


def _versions(versions: Sequence[ModelVersion], wanted: str | None) -> list[ModelVersion]:
    if wanted is None:
        return [entry for entry in versions if "stable" in entry.labels] or list(versions)
    if wanted == "latest":
        return list(versions)
    return [entry for entry in versions if wanted == entry.card.version or wanted in entry.labels]


def _check(entry: ModelVersion) -> None:
    """Refuse weights that are not the ones the card was written for."""
    if not entry.card.sha256:
        return
    digest = hashlib.sha256((entry.path / WEIGHTS_FILE).read_bytes()).hexdigest()
    if digest != entry.card.sha256:
        raise ValueError("the weights file is not the one that the card describes (sha256 differs)")


def _fixed(spec: TensorSpec, length: int) -> TensorSpec:
    return spec.model_copy(update={"shape": tuple(length if size < 0 else size for size in spec.shape)})


def _reason(error: Exception, entry: ModelVersion) -> str:
    """What went wrong, for people who need not know where our files lie."""
    return f"{type(error).__name__}: {error}".replace(str(entry.path), _name(entry))


def _name(entry: ModelVersion) -> str:
    return f"{entry.card.task}/{entry.card.name}/{entry.card.version}"
