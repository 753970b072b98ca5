"""The batch queues of all models, and the threads that serve them: fair, bounded, with deadlines.

Worker threads take what is already waiting, up to a model's largest batch, and never sleep while there is work: a
single request is computed alone, at once. Each item has a future of its own, so that one that is cancelled, late or
invalid never affects the others in its batch.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.errors import DeadlineExceeded, Overloaded
from trigger_api.model_card import Limits, TensorSpec
from trigger_api.observability.metrics import Metrics

Tensors = Mapping[str, NDArray[Any]]
CompiledFunction = Callable[[Tensors], Tensors]
"""Computes one batch. The first axis of every tensor is the batch, of the size that the function was compiled for."""

_SMOOTHING = 0.2  # weight of the latest batch in a queue's moving average
_DRIFT = 1.05  # a batch size's least seconds grow by this with each batch: a model that has become slow is noticed
_HAND_OVER_S = 0.0001  # what waking a thread costs, and waiting for the interpreter until it answers
_QUICK_S = 0.001  # a batch that the caller's own thread may compute takes no longer


@dataclass(eq=False)
class Job:
    """One item of a request. ``deadline`` and ``queued`` are in monotonic seconds."""

    item: Tensors
    deadline: float
    queued: float
    future: Future[Tensors] = field(default_factory=Future)


class BatchQueue:
    """The items that may share a batch: of one model at one input shape, in order of arrival.

    Attributes:
        service_time: seconds of computing that this queue has had; the scheduler serves the least first.
        batch_seconds: moving average of the time that a batch takes.

    Args:
        name: the queue's label in metrics.
        specs: the inputs, without the batch axis and with no variable dimension left.
        functions: a compiled function for each allowed batch size.
        limits: of the queue, its concurrency and deadlines.
        metrics: count items and batches.
    """

    def __init__(
        self,
        name: str,
        specs: Sequence[TensorSpec],
        functions: Mapping[int, CompiledFunction],
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self.limits = limits
        self.waiting: deque[Job] = deque()
        self.running = 0
        self.service_time = 0.0
        self.batch_seconds = 0.0
        self.specs = tuple(specs)
        self.functions = dict(sorted(functions.items()))
        self.largest = max(functions)
        self._least = dict.fromkeys(functions, math.inf)
        self._sizes = metrics.batch_size.labels(name)
        self._waits = metrics.queue_seconds.labels(name)
        self._times = metrics.inference_seconds.labels(name)
        self._dropped = metrics.dropped

    @property
    def idle(self) -> bool:
        """Whether no item is waiting or running."""
        return not self.waiting and not self.running

    @property
    def has_capacity(self) -> bool:
        """Whether a worker may take a batch now: items are waiting, and few enough batches are running."""
        return bool(self.waiting) and self.running < self.limits.concurrency

    @property
    def delay(self) -> float:
        """Estimated seconds until the items that are waiting now are done."""
        batches = -(-len(self.waiting) // self.largest) + self.running
        return batches * self.batch_seconds / self.limits.concurrency

    def seconds(self, count: int) -> float:
        """What a batch of so many items takes at best; infinite if that is not known yet, or if there are too many."""
        return next((self._least[size] for size in self.functions if size >= count), math.inf)

    def check(self, item: Tensors) -> None:
        """Reject an item that does not fit into a batch.

        Raises:
            ValueError: a tensor is missing or of the wrong shape.
        """
        for spec in self.specs:
            if spec.name not in item or item[spec.name].shape != spec.shape:
                raise ValueError(f"{self.name} takes {spec.name} of shape {spec.shape}")

    def next_batch(self, now: float) -> list[Job]:
        """Take the next batch, without items that have expired or were cancelled."""
        batch: list[Job] = []
        while self.waiting and len(batch) < self.largest:
            job = self.waiting.popleft()
            # This comes first, since the caller's own timeout may cancel the item at the moment of its deadline.
            if not job.future.set_running_or_notify_cancel():
                continue
            if job.deadline <= now:
                job.future.set_exception(DeadlineExceeded("the deadline passed before the request was computed"))
                self.drop("expired")
            else:
                self._waits.observe(now - job.queued)
                batch.append(job)
        return batch

    def compute(self, items: Sequence[Tensors]) -> list[Tensors]:
        """Compute the items as one batch, padded to an allowed size."""
        size = next(size for size in self.functions if size >= len(items))
        started = time.monotonic()
        outputs = self.functions[size]({spec.name: self._stack(spec, items, size) for spec in self.specs})
        seconds = time.monotonic() - started
        # The least, not the mean: a thread that waits for the interpreter is no slow model.
        self._least[size] = min(seconds, self._least[size] * _DRIFT)
        self.observe(len(items), seconds)
        return [{name: tensor[i] for name, tensor in outputs.items()} for i in range(len(items))]

    def observe(self, size: int, seconds: float) -> None:
        """Count a batch in the metrics."""
        self._times.observe(seconds)
        self._sizes.observe(size)

    def drop(self, reason: str) -> None:
        """Count an item that is not computed in the metrics."""
        self._dropped.labels(self.name, reason).inc()

    def record_batch(self, seconds: float) -> None:
        """Record the time of a batch, for fairness between queues and for ``delay``."""
        self.service_time += seconds
        self.batch_seconds += (seconds - self.batch_seconds) * (_SMOOTHING if self.batch_seconds else 1)

    @staticmethod
    def _stack(spec: TensorSpec, items: Sequence[Tensors], size: int) -> NDArray[Any]:
        if size == 1:
            return np.asarray(items[0][spec.name], spec.dtype)[None]  # without a copy
        batch = np.zeros((size, *spec.shape), spec.dtype)
        for row, item in zip(batch, items, strict=False):
            row[...] = item[spec.name]
        return batch


class Scheduler:
    """The worker threads. They serve the queue with the least service time first."""

    def __init__(self, threads: int) -> None:
        self._changed = threading.Condition()
        self._queues: list[BatchQueue] = []
        # An ordered set of the queues that are not idle: mostly one or two, out of perhaps a hundred.
        self._busy: dict[BatchQueue, None] = {}
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"inference-{i}", daemon=True) for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, queue: BatchQueue) -> None:
        """Begin to serve a queue."""
        with self._changed:
            self._queues.append(queue)

    def remove(self, queue: BatchQueue) -> None:
        """Stop serving a queue, in which no item may be waiting."""
        with self._changed, suppress(ValueError):
            self._busy.pop(queue, None)
            self._queues.remove(queue)

    def is_quick(self, queue: BatchQueue, count: int) -> bool:
        """Whether computing so many items takes less than handing them to a thread would."""
        return queue.seconds(count) <= _HAND_OVER_S

    def submit(
        self, queue: BatchQueue, items: Sequence[Tensors], deadline: float, *, wake: bool = True
    ) -> list[Future[Tensors]]:
        """Queue the items of one request, all or none.

        Args:
            queue: takes them.
            items: each without the batch axis.
            deadline: in monotonic seconds.
            wake: whether to wake threads; else the caller calls ``serve``.

        Raises:
            Overloaded: the queue is full, or the server is shutting down.
            ValueError: an item does not fit the queue.
        """
        for item in items:
            queue.check(item)
        now = time.monotonic()
        jobs = [Job(item, deadline, now) for item in items]
        with self._changed:
            self._admit(queue, len(jobs))
            queue.waiting.extend(jobs)
            if queue in self._queues:
                self._busy[queue] = None
            if wake:
                self._changed.notify(len(jobs))
        for job in jobs:
            # Without a reference to the job: it holds the future, and the cycle would outlive them.
            job.future.add_done_callback(partial(self._on_cancel, queue, deadline))
        return [job.future for job in jobs]

    def serve(self, queue: BatchQueue) -> None:
        """Compute what is waiting in a queue in this thread, if that is quick; else wake the others."""
        with self._changed:
            if not queue.has_capacity:  # a thread has been here, or will be
                return
            if queue.seconds(min(len(queue.waiting), queue.largest)) > _QUICK_S:
                self._changed.notify()
                return
            batch = queue.next_batch(time.monotonic())
            if not batch:  # all were cancelled, or are late
                self._leave_if_idle(queue)
                return
            queue.running += 1
        self._run(queue, batch)

    def close(self, grace: float) -> None:
        """Finish the accepted items, then stop; what is left after ``grace`` seconds is cancelled."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        deadline = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            abandoned = [job for queue in self._busy for job in queue.waiting]
        for job in abandoned:
            job.future.cancel()

    def _admit(self, queue: BatchQueue, count: int) -> None:
        if self._closed:
            raise Overloaded("the server is shutting down", retry_after=1)
        if len(queue.waiting) >= queue.limits.queue:
            for _ in range(count):
                queue.drop("shed")
            raise Overloaded(f"the queue of {queue.name} is full", retry_after=queue.delay)
        if queue.idle:
            # Idle time earns no credit: the queue starts level with the busy one that has had the least time.
            queue.service_time = max(queue.service_time, min((busy.service_time for busy in self._busy), default=0.0))

    def _on_cancel(self, queue: BatchQueue, deadline: float, future: Future[Tensors]) -> None:
        if future.cancelled():
            with self._changed:
                for job in [job for job in queue.waiting if job.future is future]:
                    queue.waiting.remove(job)
                self._leave_if_idle(queue)
            queue.drop("expired" if time.monotonic() >= deadline else "cancelled")

    def _leave_if_idle(self, queue: BatchQueue) -> None:
        if queue.idle:
            self._busy.pop(queue, None)

    def _work(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        """Run one batch. A method of its own, so that the batch is freed before the worker waits for the next."""
        work = self._next()
        if work is not None:
            self._run(*work)
        return work is not None

    def _next(self) -> tuple[BatchQueue, list[Job]] | None:
        with self._changed:
            while True:
                queue = self._next_queue()
                if queue is None and self._closed:
                    return None
                if queue is None:
                    self._changed.wait()
                elif batch := queue.next_batch(time.monotonic()):
                    queue.running += 1
                    return queue, batch
                else:
                    self._leave_if_idle(queue)

    def _next_queue(self) -> BatchQueue | None:
        queues = (queue for queue in self._busy if queue.has_capacity)
        return min(queues, key=lambda queue: queue.service_time, default=None)

    def _run(self, queue: BatchQueue, batch: list[Job]) -> None:
        started = time.monotonic()
        try:
            self._answer(queue, batch)
        finally:
            with self._changed:
                queue.running -= 1
                queue.record_batch(time.monotonic() - started)
                self._leave_if_idle(queue)

    def _answer(self, queue: BatchQueue, batch: list[Job]) -> None:
        try:
            answers = queue.compute([job.item for job in batch])
        except Exception as error:
            if len(batch) > 1:  # compute them one by one: only the invalid items fail
                for job in batch:
                    self._answer(queue, [job])
                return
            queue.drop("failed")
            batch[0].future.set_exception(error)
        else:
            for job, answer in zip(batch, answers, strict=True):
                job.future.set_result(answer)
