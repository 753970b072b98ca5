"""Which models are served: found in folders, loaded and warmed off the serving threads, swapped without a gap."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import structlog
from pydantic import ValidationError

from trigger_api.cards import CARD_FILE, WEIGHTS_FILE, Limits, ModelCard, TensorSpec, read_card
from trigger_api.errors import NotReady, UnknownModel
from trigger_api.inference import Lane, Runner, Scheduler
from trigger_api.metrics import Metrics
from trigger_api.runtimes import Network

BUNDLED = Path(__file__).parent / "models"
Loader = Callable[[Path, ModelCard], Network]
_log = structlog.get_logger(__name__)


class State(StrEnum):
    """Where a version is in its life."""

    FOUND = "found"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADED = "unloaded"


@dataclass(eq=False)
class Model:
    """A version in memory: its card and, by window length (0 where nothing varies), a lane of the engine."""

    card: ModelCard
    lanes: Mapping[int, Lane]
    handles: int = 0


@dataclass(eq=False)
class Entry:
    """One version on disk, and what has become of it."""

    card: ModelCard
    path: Path
    state: State = State.FOUND
    reason: str = ""
    model: Model | None = field(default=None, repr=False)


class Registry:
    """The models of one server.

    Args:
        entries: what may be served; of a task's models the first is its default.
        load: reads weights; it may take seconds and is never called on a serving thread.
        limits: turns a card's limits into the ones in force.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        load: Loader,
        scheduler: Scheduler,
        metrics: Metrics,
        limits: Callable[[Limits], Limits] = lambda limits: limits,
    ) -> None:
        self.entries = list(entries)
        self._load = load
        self._scheduler = scheduler
        self._metrics = metrics
        self._limits = limits
        self._lock = threading.Lock()
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether every model that should be served has answered at every batch size."""
        return not self._closed and all(entry.state in (State.READY, State.UNLOADED) for entry in self.entries)

    def load_all(self) -> None:
        """Load every model, one after the other. A broken one is marked, and the rest still load."""
        for entry in self.entries:
            if not self._closed:
                self.load(entry)

    def close(self) -> None:
        """Be ready no more, and begin no further load. What is loaded still answers what was accepted."""
        self._closed = True

    def load(self, entry: Entry) -> None:
        """Load and warm a version, then swap it in. When that fails, what served before goes on serving."""
        entry.state, entry.reason = State.LOADING, ""
        try:
            model = self._warm(entry)
        except Exception as error:  # whatever is wrong with one model must not stop the others
            _log.error("model failed to load", model=_name(entry), exc_info=error)
            entry.reason = f"{type(error).__name__}: {error}"
            entry.state = State.READY if entry.model else State.FAILED
            return
        old = self._swap(entry, model)
        self._retire(old)
        _log.info("model ready", model=_name(entry))

    def unload(self, entry: Entry) -> None:
        """Stop serving a version; its last handle takes the memory with it."""
        old = self._swap(entry, None)
        self._retire(old)

    @contextmanager
    def acquire(self, task: str, name: str | None = None, version: str | None = None) -> Iterator[Model]:
        """Pin one version for a whole request: the default name and the latest version, unless told.

        Raises:
            UnknownModel: there is none of that task, name or version.
            NotReady: it is loading, or failed to load.
        """
        model = self._pin(task, name, version)
        try:
            yield model
        finally:
            with self._lock:
                model.handles -= 1
            self._retire(model)

    def find(self, task: str, name: str | None = None, version: str | None = None) -> Entry:
        """The version a request means.

        Raises:
            UnknownModel: there is none.
        """
        named = [entry for entry in self.entries if entry.card.task == task]
        name = name or (named[0].card.name if named else None)
        found = [
            entry for entry in named if entry.card.name == name and (version is None or entry.card.version == version)
        ]
        if not found:
            known = ", ".join(sorted({entry.card.name for entry in named})) or "none"
            raise UnknownModel(f"no such {task} model or version; there is: {known}")
        return max(found, key=lambda entry: (entry.model is not None, int(entry.card.version)))

    def _pin(self, task: str, name: str | None, version: str | None) -> Model:
        entry = self.find(task, name, version)
        with self._lock:
            if entry.model is None:
                raise NotReady(f"{_name(entry)} is {entry.state}", retry_after=2)
            entry.model.handles += 1
            return entry.model

    def _swap(self, entry: Entry, model: Model | None) -> Model | None:
        for lane in model.lanes.values() if model else ():
            self._scheduler.add(lane)
        with self._lock:
            old, entry.model = entry.model, model
            entry.state = State.READY if model else State.UNLOADED
        return old

    def _retire(self, model: Model | None) -> None:
        """Let a version's lanes go once it is neither served nor in use."""
        with self._lock:
            serving = any(entry.model is model for entry in self.entries)
            if model is None or serving or model.handles:
                return
        for lane in model.lanes.values():
            self._scheduler.remove(lane)

    def _warm(self, entry: Entry) -> Model:
        _check(entry)
        network = self._load(entry.path, entry.card)
        limits = self._limits(entry.card.limits)
        lengths = entry.card.lengths or (0,)
        return Model(entry.card, {length: self._lane(entry, network, length, limits) for length in lengths})

    def _lane(self, entry: Entry, network: Network, length: int, limits: Limits) -> Lane:
        specs = [_fixed(spec, length) for spec in entry.card.inputs]
        runners = {size: _proven(network.compile(specs, size), specs, size) for size in limits.batch_sizes}
        return Lane(_name(entry), specs, runners, limits, self._metrics)


def discover(root: Path) -> list[Entry]:
    """The models at a path: a tree of model folders, one model folder, or a bare weights file of the exercise.

    Raises:
        ValueError: nothing there can be served; the message says why.
    """
    if root.is_file():
        return [_bare(root)]
    folders = sorted(card.parent for card in root.rglob(CARD_FILE)) if root.is_dir() else []
    if not folders:
        raise ValueError(f"no model in {root}: neither a weights file nor a folder with a {CARD_FILE}")
    return [_entry(folder) for folder in folders]


def _entry(folder: Path) -> Entry:
    try:
        return Entry(read_card(folder), folder)
    except (OSError, ValidationError) as error:
        raise ValueError(f"{folder / CARD_FILE} is not a model card: {error}") from error


def _bare(path: Path) -> Entry:
    from trigger_api.runtimes import exercise  # h5py is needed for such a file alone

    return Entry(exercise.card(path), path)


def _check(entry: Entry) -> None:
    """Refuse weights that are not the ones the card was written for."""
    if not entry.card.sha256:
        return
    digest = hashlib.sha256((entry.path / WEIGHTS_FILE).read_bytes()).hexdigest()
    if digest != entry.card.sha256:
        raise ValueError("the weights file is not the one that the card describes (sha256 differs)")


def _fixed(spec: TensorSpec, length: int) -> TensorSpec:
    return spec.model_copy(update={"shape": tuple(length if size < 0 else size for size in spec.shape)})


def _proven(runner: Runner, specs: Sequence[TensorSpec], size: int) -> Runner:
    """A runner that has answered: a model is not ready before a real inference at every size."""
    runner({spec.name: np.zeros((size, *spec.shape), spec.dtype) for spec in specs})
    return runner


def _name(entry: Entry) -> str:
    return f"{entry.card.task}/{entry.card.name}/{entry.card.version}"
