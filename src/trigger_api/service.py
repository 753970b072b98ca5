"""The composition root: engine, registry and tasks, built from settings.

The web application, the command line and the evaluation all use this one object.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import platformdirs
import structlog
from threadpoolctl import threadpool_limits

from trigger_api.errors import NotFound
from trigger_api.inference import Engine
from trigger_api.media.audio import AudioLimits
from trigger_api.media.image import ImageLimits
from trigger_api.model_card import CARD_FILE, Limits, ModelCard
from trigger_api.observability import memory
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import BUNDLED, Loader, ModelVersion, Registry
from trigger_api.repository import Watcher, discover, discover_all
from trigger_api.runtimes import NEEDS_TENSORFLOW, LoadOptions, load, openwakeword, servable
from trigger_api.schemas import TriggerAnswer
from trigger_api.settings import Settings
from trigger_api.streaming.manager import StreamManager
from trigger_api.tasks import TASKS, Context, Task
from trigger_api.tasks.trigger.task import Trigger, TriggerResult

if TYPE_CHECKING:
    from trigger_api.accounts.manager import Accounts
    from trigger_api.history.manager import History
    from trigger_api.jobs.manager import Jobs
    from trigger_api.jobs.training import Trainings
    from trigger_api.observability.traces import Traces
    from trigger_api.storage.database import Database

T = TypeVar("T", bound=Task)
P = TypeVar("P")
_NO_DATABASE = "this server has no database: it keeps neither accounts nor a history"
_log = structlog.get_logger(__name__)


class Service:
    """Everything that serves requests, without HTTP. Its threads run until ``close``.

    Args:
        settings: the settings.
        metrics: counters of all parts.
        loader: loads a model's weights; by default chosen by the settings.
        traces: where the parts of each request are traced.

    Raises:
        ValueError: something among the models cannot be served.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, loader: Loader | None = None, traces: Traces | None = None
    ) -> None:
        threadpool_limits(1, user_api="blas")  # requests are computed side by side, on a core each
        self.settings = settings
        self.metrics = metrics
        entries = find_models(settings)
        self.traces = traces
        self.engine = _engine(settings, traces)
        self.registry = Registry(
            entries,
            loader or model_loader(settings),
            self.engine.scheduler,
            metrics,
            partial(_override, settings),
            settings.memory_mib * 2**20 if settings.memory_mib else None,
            {kind.name: kind.load_assets for kind in TASKS},
            loaders=1 if settings.runtime == "tensorflow" else settings.inference_threads,  # Keras is not thread-safe
        )
        self.loaded = threading.Event()
        """Whether every model has been loaded, or could not be."""
        self._watcher = Watcher(self.registry, partial(find_models, settings), settings.watch_s)
        context = _context(settings, self.engine, self.registry)
        self.image_limits = context.image
        self._tasks = {kind: kind(context) for kind in TASKS}
        self.rooms = StreamManager(settings, self.engine, self.registry, metrics)
        self._database: Database | None = None
        self._accounts: Accounts | None = None
        self._history: History | None = None
        self._jobs: Jobs | None = None
        self._trainings: Trainings | None = None

    def task(self, kind: type[T]) -> T:
        """The task of a class, as in ``service.task(Digits)``."""
        task = self._tasks[kind]
        assert isinstance(task, kind)
        return task

    @property
    def database(self) -> Database:
        """The database.

        Raises:
            NotFound: the service has none.
        """
        return _existing(self._database)

    @property
    def accounts(self) -> Accounts:
        """The accounts.

        Raises:
            NotFound: the service has no database.
        """
        return _existing(self._accounts)

    @property
    def history(self) -> History:
        """The history.

        Raises:
            NotFound: the service has no database.
        """
        return _existing(self._history)

    @property
    def jobs(self) -> Jobs:
        """The jobs.

        Raises:
            NotFound: the service has no database.
        """
        return _existing(self._jobs)

    @property
    def trainings(self) -> Trainings:
        """The words that administrators train.

        Raises:
            NotFound: the service has no database, or trains no words.
        """
        if self._trainings is None and self._jobs is not None:
            raise NotFound("this server trains no words")
        return _existing(self._trainings)

    def run_jobs(self, answer: Callable[[Sequence[TriggerResult]], TriggerAnswer]) -> None:
        """Accept jobs and work on them until ``close``, if there is a database.

        Args:
            answer: makes the answer from the task's results.
        """
        if self._database is not None and self._history is not None:
            from trigger_api.jobs.manager import Jobs
            from trigger_api.jobs.training import Training, Trainings

            self._jobs = Jobs(self._database, self._history, self.task(Trigger), self.settings, answer)
            if self.settings.trained_words:
                training = Training(self.registry, self.settings, self._watcher.scan)
                self._trainings = Trainings(self._database, self._history, training, self.settings)

    def begin_shutdown(self) -> None:
        """End every subscription: the server would wait for them before it stops."""
        self.rooms.begin_shutdown()
        for each in (self._jobs, self._trainings):
            if each is not None:
                each.begin_shutdown()

    async def open_database(self) -> None:
        """Open the database and bring its tables to this version, unless the settings say that there is none.

        One that cannot be reached is tried again in the background: predictions do not wait for it.
        """
        if self.settings.has_database:
            from trigger_api.accounts.manager import Accounts  # slow to import
            from trigger_api.history.manager import History
            from trigger_api.storage.database import Database

            url = self.settings.database_url
            self._database = Database(url.get_secret_value() if url else None)
            self._accounts = Accounts(self._database, self.settings)
            self._history = History(self._database, self.settings)
            await self._database.open()

    def load(self) -> None:
        """Load every model, then watch for changes until ``close`` if the settings say so."""
        try:
            self.registry.load_all()
        finally:
            self.loaded.set()
        memory.gc_freeze()
        memory.malloc_trim()  # the largest batches were computed once
        if self.settings.watch_s:
            self._watcher.run()

    async def close(self) -> None:
        """Finish accepted requests, then stop."""
        for each in (self._jobs, self._trainings):
            if each is not None:
                await each.close()
        self.registry.close()
        self._watcher.close()
        await self.rooms.close()
        await self.engine.close(self.settings.drain_s)
        if self._history is not None:
            await self._history.close()
        if self._accounts is not None:
            await self._accounts.close()
        if self._database is not None:
            await self._database.close()
        memory.gc_unfreeze()


def _engine(settings: Settings, traces: Traces | None) -> Engine:
    options: dict[str, Any] = {
        "inference_threads": settings.inference_threads,
        "preprocess_threads": settings.preprocess_threads,
        "preprocess_queue": settings.preprocess_queue,
    }
    if traces is None:
        return Engine(**options)
    from trigger_api.traced_engine import TracedEngine

    return TracedEngine(traces, **options)


def _context(settings: Settings, engine: Engine, registry: Registry) -> Context:
    return Context(
        engine=engine,
        registry=registry,
        audio=AudioLimits(settings.max_audio_seconds, settings.max_audio_samples),
        image=ImageLimits(settings.max_image_bytes, settings.max_image_pixels, settings.max_image_side),
        max_text_characters=settings.max_text_characters,
    )


def _existing(part: P | None) -> P:
    if part is None:
        raise NotFound(_NO_DATABASE)
    return part


def find_models(settings: Settings) -> list[ModelVersion]:
    """The operator's models, the bundled ones that can be served here, then words that were trained on a page.

    The first of a task is its default.

    Raises:
        ValueError: something among the operator's models cannot be served.
    """
    own, trained = discover_all(settings.models), _trained(settings)
    _check_tasks(own)
    names = {(entry.card.task, entry.card.name) for entry in own}
    bundled = [entry for entry in discover(BUNDLED) if (entry.card.task, entry.card.name) not in names]
    if not settings.bundled:  # except the backbones of the operator's words, and their students
        backbones = {name for entry in own + trained for name in (entry.card.backbone, entry.card.student)}
        bundled = [entry for entry in bundled if entry.card.task == "embedding" and entry.card.name in backbones]
    served = own + list(_servable(bundled, settings))
    known = {entry.key for entry in served}
    return served + [entry for entry in trained if entry.key not in known]


def _trained(settings: Settings) -> list[ModelVersion]:
    """The words that were trained on a page. There may be none yet."""
    folder = settings.trained_words
    return discover(folder) if folder and any(folder.glob(f"*/*/{CARD_FILE}")) else []


def check_runtimes(settings: Settings) -> None:
    """Check that an installed runtime may serve each of the operator's models.

    Raises:
        ValueError: one of them needs TensorFlow, which is missing.
    """
    for entry in discover_all(settings.models):
        if not openwakeword.is_named(entry.path) and not servable(entry.path, _options(settings)):
            raise ValueError(f"{entry.path}: {NEEDS_TENSORFLOW}")


def _check_tasks(versions: Iterable[ModelVersion]) -> None:
    known = {kind.name for kind in TASKS} | {"embedding"}
    for each in versions:
        if each.card.task not in known:
            raise ValueError(f"{each.path}: no such task: {each.card.task!r}; available: {', '.join(sorted(known))}")


def _servable(bundled: Iterable[ModelVersion], settings: Settings) -> Iterator[ModelVersion]:
    """Leave out, with a warning, bundled models that need TensorFlow if it is not installed."""
    for entry in bundled:
        if servable(entry.path, _options(settings)):
            yield entry
        else:
            _log.warning("model left out: not converted to ONNX, and TensorFlow is missing", model=entry.card.name)


def model_loader(settings: Settings) -> Loader:
    """What loads a model's weights, as the settings say."""
    return partial(load, options=_options(settings))


def _options(settings: Settings) -> LoadOptions:
    return LoadOptions(
        kind=settings.runtime,
        intra_op_threads=settings.intra_op_threads,
        inference_threads=settings.inference_threads,
        cache=settings.cache or _user_cache(),
    )


def _user_cache() -> Path | None:
    """Where conversions are kept; None, for no conversion, in a process that has loaded TensorFlow already."""
    return None if "tensorflow" in sys.modules else platformdirs.user_cache_path("trigger-api") / "conversions"


def _override(settings: Settings, card: ModelCard) -> Limits:
    """A card's limits, overridden by the settings for all models, then by those for this one."""
    limits = card.limits
    changed = {
        "batch_sizes": _up_to(settings.max_batch, limits.batch_sizes),
        "stream_batch_sizes": _up_to(settings.max_batch, limits.stream_batch_sizes),
        "deadline_s": settings.deadline_s or limits.deadline_s,
    }
    return Limits.model_validate({**limits.model_dump(), **changed, **settings.limits.get(card.name, {})})


def _up_to(largest: int | None, sizes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in sizes if size <= (largest or size)) or sizes[:1]
