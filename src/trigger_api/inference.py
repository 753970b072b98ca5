"""The engine that tasks call: preprocessing in one pool of threads, inference in the scheduler's."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from trigger_api.errors import DeadlineExceeded, Overloaded
from trigger_api.scheduler import BatchQueue, Scheduler, Tensors

T = TypeVar("T")

_MIN_BYTES = 32_768  # smaller inputs are preprocessed on the event loop


class Engine:
    """Preprocessing and inference for tasks; none of it computes on the event loop."""

    def __init__(
        self,
        *,
        inference_threads: int,
        preprocess_threads: int,
        preprocess_queue: int,
        scheduler: Callable[[int], Scheduler] = Scheduler,
    ) -> None:
        self.scheduler = scheduler(inference_threads)
        self._pool = PreprocessPool(preprocess_threads, preprocess_queue)

    def deadline(self, seconds: float) -> Deadline:
        """Limit one request to ``seconds``; yields its deadline in monotonic seconds. Its work is cancelled by then.

        Raises:
            DeadlineExceeded: the block took longer.
        """
        return Deadline(seconds)

    async def preprocess(self, work: Callable[..., T], *args: Any, size: int | None = None) -> T:
        """Run CPU-bound work of one request in the pool.

        Args:
            work: the function.
            args: its arguments.
            size: bytes that it processes, if known. For a few, a thread would cost more than it saves.

        Raises:
            Overloaded: too many requests are waiting already.
        """
        return work(*args) if size is not None and size <= _MIN_BYTES else await self._pool.run(work, *args)

    async def infer(self, queue: BatchQueue, items: Sequence[Tensors], deadline: float) -> list[Tensors]:
        """Compute every item of one request; they are cancelled with the caller.

        Raises:
            Overloaded: the queue is full.
            DeadlineExceeded: the deadline passed before an item was computed.
        """
        (answers,) = await self.infer_all([(queue, items)], deadline)
        return answers

    async def infer_all(
        self, work: Sequence[tuple[BatchQueue, Sequence[Tensors]]], deadline: float
    ) -> list[list[Tensors]]:
        """The same for items in several queues, computed concurrently; returns the outputs by queue."""
        futures: list[list[Future[Tensors]]] = []
        try:
            for queue, items in work:
                futures.append(self._submit(queue, items, deadline))  # the next may be rejected
            await _all_done([future for queue_futures in futures for future in queue_futures])
            return [[future.result() for future in queue_futures] for queue_futures in futures]
        finally:
            for queue_futures in futures:
                for future in queue_futures:
                    future.cancel()

    def _submit(self, queue: BatchQueue, items: Sequence[Tensors], deadline: float) -> list[Future[Tensors]]:
        """Queue items for the threads; or, if that is quicker, for the end of this turn of the event loop.

        All requests that came in the same turn share the batch.
        """
        quick = self.scheduler.is_quick(queue, len(items))
        futures = self.scheduler.submit(queue, items, deadline, wake=not quick)
        if quick:
            asyncio.get_running_loop().call_soon(self.scheduler.serve, queue)
        return futures

    async def close(self, grace: float) -> None:
        """Finish the accepted items within ``grace`` seconds, then stop every thread."""
        await asyncio.to_thread(self.scheduler.close, grace)
        self._pool.close()


class Deadline:
    """The time limit of one request: see ``Engine.deadline``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> float:
        await self._timeout.__aenter__()
        return time.monotonic() + self._seconds

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._timeout.__aexit__(*error)
        except TimeoutError:
            raise DeadlineExceeded(f"no answer within {self._seconds:g} s") from None


class PreprocessPool:
    """Threads for preprocessing, with a bounded queue."""

    def __init__(self, threads: int, queue: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="preprocess")
        self._places = threading.Semaphore(threads + queue)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Run CPU-bound work of one request in a thread.

        Raises:
            Overloaded: too many requests are waiting already.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded("too many requests are waiting to be decoded", retry_after=1)
        call = _Call(work, args)
        future = self._threads.submit(call.run)
        future.add_done_callback(lambda _: self._places.release())  # later than the caller, if that is cancelled
        try:
            result: T = await asyncio.wrap_future(future)
        finally:
            call.clear()
        return result

    def close(self) -> None:
        """Start no more work."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Call:
    """A call that can let go of its arguments: a cancelled one stays queued until a thread takes it."""

    def __init__(self, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
        self._call: tuple[Callable[..., Any], Sequence[Any]] | None = (work, arguments)

    def run(self) -> Any:
        assert self._call is not None
        work, arguments = self._call
        return work(*arguments)

    def clear(self) -> None:
        self._call = None


async def _all_done(futures: Sequence[Future[Tensors]]) -> None:
    """Wait for all futures. Only the last wakes the event loop, which costs as much as a small inference."""
    loop, own_thread = asyncio.get_running_loop(), threading.get_ident()
    left, done = list(futures), loop.create_future()

    def finished(_: Future[Tensors]) -> None:
        left.pop()
        if left or loop.is_closed():
            return
        if threading.get_ident() == own_thread:
            _set_done(done)
        else:
            loop.call_soon_threadsafe(_set_done, done)

    for future in futures:
        future.add_done_callback(finished)
    if futures:
        await done


def _set_done(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
