"""The engine that also traces: chosen where traces are on, so that they cost nothing elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from trigger_api.inference import Engine
from trigger_api.observability.traces import Traces
from trigger_api.scheduler import BatchQueue, Job, Scheduler, Tensors

T = TypeVar("T")


@dataclass
class Submission:
    """Items that a request has queued, and when; then when the batch with the first of them ran, and its size."""

    model: str
    queued: float
    started: float = 0.0
    ended: float = 0.0
    size: int = 0


_submissions: ContextVar[list[Submission] | None] = ContextVar("trigger_api_submissions", default=None)


class TracedScheduler(Scheduler):
    """Notes when the batches of a request are computed."""

    def submit(
        self, queue: BatchQueue, items: Sequence[Tensors], deadline: float, *, wake: bool = True
    ) -> list[Future[Tensors]]:
        """As the scheduler does."""
        submission = Submission(queue.name, time.monotonic())
        futures = super().submit(queue, items, deadline, wake=wake)
        if (submissions := _submissions.get()) is not None:
            submissions.append(submission)
            for future in futures:
                future.add_done_callback(partial(_note, submission))
        return futures

    def _answer(self, queue: BatchQueue, batch: list[Job]) -> None:
        started = time.monotonic()
        for job in batch:
            vars(job.future)["batch"] = started, len(batch)
        super()._answer(queue, batch)


class TracedEngine(Engine):
    """Traces the decoding, the waiting, the inference and the postprocessing of each request that is traced itself."""

    def __init__(self, traces: Traces, **options: int) -> None:
        super().__init__(**options, scheduler=TracedScheduler)
        self._traces = traces

    async def preprocess(self, work: Callable[..., T], *args: Any, size: int | None = None) -> T:
        """As the engine does."""
        if not self._traces.active:
            return await super().preprocess(work, *args, size=size)
        with self._traces.preprocessing(getattr(work, "__qualname__", type(work).__name__)):
            return await super().preprocess(work, *args, size=size)

    async def infer_all(
        self, work: Sequence[tuple[BatchQueue, Sequence[Tensors]]], deadline: float
    ) -> list[list[Tensors]]:
        """As the engine does."""
        if not self._traces.active:
            return await super().infer_all(work, deadline)
        submissions: list[Submission] = []
        token = _submissions.set(submissions)
        try:
            return await super().infer_all(work, deadline)
        finally:
            _submissions.reset(token)
            for each in submissions:
                if each.size:  # the others were cancelled, or late
                    self._traces.inference(
                        each.model, each.size, queued=each.queued, started=each.started, ended=each.ended
                    )


def _note(submission: Submission, future: Future[Tensors]) -> None:
    """The span of the items' inference lasts from the first batch to the last."""
    started, size = vars(future).get("batch", (0.0, 0))
    if size:
        submission.started = min(submission.started or started, started)
        submission.size = max(submission.size, size)
        submission.ended = time.monotonic()
