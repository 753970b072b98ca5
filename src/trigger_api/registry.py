"""Versions of models: loaded off the serving threads, swapped without a gap, released after use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import structlog

from trigger_api.errors import NotReady, UnknownModel
from trigger_api.loading import AssetsLoader, Loader, LoadingStoppedError, Model, ModelLoader, check_backbone
from trigger_api.model_card import Limits, ModelCard, weights
from trigger_api.observability import memory
from trigger_api.observability.metrics import Metrics
from trigger_api.scheduler import Scheduler

__all__ = ["BUNDLED", "Loader", "Model", "ModelVersion", "Registry", "State"]

BUNDLED = Path(__file__).parent / "models"
_log = structlog.get_logger(__name__)


class State(StrEnum):
    """The state of a version."""

    FOUND = "found"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADED = "unloaded"


_STATE_TEXT = {State.FOUND: "is not loaded yet", State.FAILED: "failed to load"}


@dataclass(eq=False)
class ModelVersion:
    """One version on disk and its state. ``fingerprint`` changes when its files do."""

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
        """Bytes that its weights take in memory, which is in single precision even if the file is not."""
        return max(sum(file.stat().st_size for file in weights(self.path)), 4 * self.card.parameters)


class Registry:
    """The models of one server.

    Args:
        versions: what may be served; the first model of a task is its default.
        load: loads weights; it may take seconds and is never called on a serving thread.
        scheduler: serves the batch queues.
        metrics: count items and batches.
        limits: gives the limits of a card.
        budget: bytes that all weights together may take; None for no limit.
        assets: loaders of the files beside the weights, by task; called where ``load`` is.
        loaders: number of versions that are loaded at once at the start; with a ``budget``, it is one.
    """

    def __init__(
        self,
        versions: Sequence[ModelVersion],
        load: Loader,
        scheduler: Scheduler,
        metrics: Metrics,
        limits: Callable[[ModelCard], Limits] = lambda card: card.limits,
        budget: int | None = None,
        assets: Mapping[str, AssetsLoader] | None = None,
        loaders: int = 1,
    ) -> None:
        self.versions = list(versions)
        self._loader = ModelLoader(load, metrics, limits, assets or {})
        self._scheduler = scheduler
        self._budget = budget
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # one load at a time, after the start
        self._loaders = loaders if budget is None else 1
        self._first = {entry.key[:2] for entry in versions}
        self._loaded = False

    @property
    def ready(self) -> bool:
        """Whether every model has a version that was warmed at every batch size.

        Only models that were there at the start count: a broken new one must not take the others out of service.
        """
        required = {entry.key[:2] for entry in self.versions} & self._first
        served = {entry.key[:2] for entry in self.versions if entry.model or entry.state is State.UNLOADED}
        return self._loaded and not self._loader.stopped and required <= served

    def load_all(self) -> None:
        """Load every version: in order, or the largest first if several are loaded at once.

        One that fails is marked, and the rest still load.
        """
        order = self.versions if self._loaders == 1 else sorted(self.versions, key=lambda entry: -entry.card.parameters)
        with self._loading, ThreadPoolExecutor(self._loaders, thread_name_prefix="load") as threads:
            list(threads.map(self._load, order))
        self._loaded = True

    def close(self) -> None:
        """Report that the registry is not ready, and load nothing more. Loaded models finish accepted requests."""
        self._loader.stopped = True

    def load(self, entry: ModelVersion) -> None:
        """Load and warm a version, then swap it in. If that fails, the version that serves now goes on serving."""
        with self._loading:
            self._load(entry)

    def load_with_backbone(self, entry: ModelVersion) -> None:
        """Load a version, and first the models whose embeddings it takes, if they are not loaded yet."""
        student = any(other.key[:2] == ("embedding", entry.card.student) for other in self.versions)
        for name in filter(None, (entry.card.backbone, entry.card.student if student else "")):
            backbone = self.find("embedding", name)
            if backbone.model is None:
                self.load(backbone)
        self.load(entry)

    def unload(self, entry: ModelVersion) -> None:
        """Stop serving a version. Its memory is freed with its last handle."""
        old = self._swap(entry, None)
        self._release(old)

    def sync(self, found: Sequence[ModelVersion]) -> None:
        """Follow the disk: load new and changed versions, unload those that are gone."""
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
        """Pin one version for a whole request; see ``find`` for how it is chosen.

        Raises:
            UnknownModel: there is no such task, name or version.
            NotReady: the version is still loading, failed to load, or was unloaded.
        """
        model = self._acquire(task, name, version)
        try:
            yield model
        finally:
            with self._lock:
                model.handles -= 1
            self._release(model)

    def find(self, task: str | None, name: str | None = None, version: str | None = None) -> ModelVersion:
        """Find the version that a request names.

        Args:
            task: a task, or None for any.
            name: a model; if not given, the first of the task.
            version: a number, a label, or ``latest``; if not given, the one labelled ``stable``, or else the latest.

        Raises:
            UnknownModel: there is no such version.
        """
        named = [entry for entry in self.versions if task in (None, entry.card.task)]
        name = name or (named[0].card.name if named else None)
        versions = [entry for entry in named if entry.card.name == name]
        found = _versions(versions, version)
        if not found:
            raise _unknown(task, named)
        return max(found, key=lambda entry: (entry.model is not None, int(entry.card.version)))

    def _acquire(self, task: str | None, name: str | None, version: str | None) -> Model:
        entry = self.find(task, name, version)
        with self._lock:
            if entry.model is None:
                raise _not_ready(entry)
            entry.model.handles += 1
            return entry.model

    def _load(self, entry: ModelVersion) -> None:
        if self._loader.stopped:
            return
        entry.state, entry.reason = State.LOADING, ""
        try:
            model = self._load_and_warm(entry)
        except LoadingStoppedError:
            return
        except Exception as error:  # one broken model must not stop the others
            _log.error("model failed to load", model=_name(entry), exc_info=error)
            entry.reason = _reason(error, entry)
            entry.state = State.READY if entry.model else State.FAILED
            return
        self._release(self._swap(entry, model))
        _log.info("model ready", model=_name(entry))

    def _swap(self, entry: ModelVersion, model: Model | None) -> Model | None:
        for queue in model.queues.values() if model else ():
            self._scheduler.add(queue)
        with self._lock:
            old, entry.model = entry.model, model
            entry.state = State.READY if model else State.UNLOADED
        return old

    def _release(self, model: Model | None) -> None:
        """Remove the queues of a version once it is neither served nor in use."""
        with self._lock:
            serving = any(entry.model is model for entry in self.versions)
            if model is None or serving or model.handles:
                return
        for queue in model.queues.values():
            self._scheduler.remove(queue)
        memory.gc_unfreeze()

    def _load_and_warm(self, entry: ModelVersion) -> Model:
        check_backbone(entry.card, [other.card for other in self.versions if other.card.task == "embedding"])
        self._check_memory_budget(entry)
        return self._loader.load(_name(entry), entry.path, entry.card)

    def _check_memory_budget(self, entry: ModelVersion) -> None:
        if self._budget is None:
            return
        used = sum(other.size for other in self.versions if other.model and other is not entry)
        if used + entry.size > self._budget:
            needed, left = (round(size / 2**20, 1) for size in (entry.size, self._budget - used))
            raise ValueError(f"{_name(entry)} needs {needed} MiB, but only {left} MiB of the memory budget are left")


def _versions(versions: Sequence[ModelVersion], wanted: str | None) -> list[ModelVersion]:
    if wanted is None:
        return [entry for entry in versions if "stable" in entry.labels] or list(versions)
    if wanted == "latest":
        return list(versions)
    return [entry for entry in versions if wanted == entry.card.version or wanted in entry.labels]


def _unknown(task: str | None, entries: Sequence[ModelVersion]) -> UnknownModel:
    known = sorted({(entry.card.name, int(entry.card.version)) for entry in entries})
    available = ", ".join(f"{name} {number}" for name, number in known) or "none"
    return UnknownModel(f"no such {f'{task} ' if task else ''}model or version; available: {available}")


def _not_ready(entry: ModelVersion) -> NotReady:
    soon = entry.state in (State.FOUND, State.LOADING)
    state = _STATE_TEXT.get(entry.state, f"is {entry.state}")
    reason = f": {entry.reason}" if entry.reason else ""
    return NotReady(f"{_name(entry)} {state}{reason}", retry_after=2 if soon else None)


def _reason(error: Exception, entry: ModelVersion) -> str:
    """The error as text, without paths of this machine."""
    return f"{type(error).__name__}: {error}".replace(str(entry.path), _name(entry))


def _name(entry: ModelVersion) -> str:
    return f"{entry.card.task}/{entry.card.name}/{entry.card.version}"
