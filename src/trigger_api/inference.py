"""The engine: what tasks call. Requests are decoded in one pool of threads and inferred by the scheduler's."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from trigger_api.errors import DeadlineExceeded, Overloaded
from trigger_api.scheduler import BatchQueue, Scheduler, Tensors

T = TypeVar("T")

_FEW_BYTES = 32_768


class Engine:
    """What tasks see: decode and prepare in one pool of threads, infer in the scheduler's."""

    def __init__(self, *, inference_threads: int, preprocess_threads: int, preprocess_queue: int) -> None:
        self.scheduler = Scheduler(inference_threads)
        self._pool = PreprocessPool(preprocess_threads, preprocess_queue)

    @asynccontextmanager
    async def deadline(self, seconds: float) -> AsyncIterator[float]:
        """Bound one request: yields its deadline in monotonic seconds, and drops its work when that comes.

        Raises:
            DeadlineExceeded: the block took longer.
        """
        try:
            async with asyncio.timeout(seconds):
                yield time.monotonic() + seconds
        except TimeoutError:
            raise DeadlineExceeded(f"no answer within {seconds:g} s") from None

    async def preprocess(self, work: Callable[..., T], *args: Any, size: int | None = None) -> T:
        """Run CPU work of one request beside the event loop.

        Args:
            work: the function.
            args: its arguments.
            size: bytes that it goes through, if known: with few, a thread would cost more than it saves.

        Raises:
            Overloaded: too many requests wait already.
        """
        return work(*args) if size is not None and size <= _FEW_BYTES else await self._pool.run(work, *args)

    async def infer(self, queue: BatchQueue, items: Sequence[Tensors], deadline: float) -> list[Tensors]:
        """Answer every item of one request; when the caller is cancelled, so is its work.

        Raises:
            Overloaded: the lane's queue is full.
            DeadlineExceeded: an item's turn came too late.
        """
        (answers,) = await self.infer_all([(queue, items)], deadline)
        return answers

    async def infer_all(
        self, work: Sequence[tuple[BatchQueue, Sequence[Tensors]]], deadline: float
    ) -> list[list[Tensors]]:
        """The same for items of several lanes, which are computed side by side; the answers lane by lane."""
        futures: list[list[Future[Tensors]]] = []
        try:
            for queue, items in work:
                futures.append(self.scheduler.submit(queue, items, deadline))  # the next may be refused
            await _all_done([future for lane_futures in futures for future in lane_futures])
            return [[future.result() for future in lane_futures] for lane_futures in futures]
        finally:
            for lane_futures in futures:
                for future in lane_futures:
                    future.cancel()

    async def close(self, grace: float) -> None:
        """Finish what was accepted within ``grace`` seconds, then stop every thread."""
        await asyncio.to_thread(self.scheduler.close, grace)
        self._pool.close()


class PreprocessPool:
    """Some threads and a bounded number of places before them."""

    def __init__(self, threads: int, queue: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="preprocess")
        self._places = threading.Semaphore(threads + queue)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Run CPU work of one request beside the event loop.

        Raises:
            Overloaded: too many requests wait already.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded("too many requests wait to be decoded", retry_after=1)
        call = _Call(work, args)
        future = self._threads.submit(call.run)
        future.add_done_callback(lambda _: self._places.release())  # a thread that works on keeps its place
        try:
            result: T = await asyncio.wrap_future(future)
        finally:
            call.forget()
        return result

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Call:
    """Work for a thread. What is cancelled stays queued until a thread comes by: its arguments must not."""

    def __init__(self, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
        self._call: tuple[Callable[..., Any], Sequence[Any]] | None = (work, arguments)

    def run(self) -> Any:
        assert self._call is not None
        work, arguments = self._call
        return work(*arguments)

    def forget(self) -> None:
        self._call = None


async def _all_done(futures: Sequence[Future[Tensors]]) -> None:
    """Wait for the threads' answers. The loop is woken once, by the last of them: each time costs as much as a head."""
    loop = asyncio.get_running_loop()
    left, done = list(futures), loop.create_future()

    def finished(_: Future[Tensors]) -> None:
        left.pop()
        if not left and not loop.is_closed():
            loop.call_soon_threadsafe(_set_done, done)

    for future in futures:
        future.add_done_callback(finished)
    if futures:
        await done


def _set_done(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
