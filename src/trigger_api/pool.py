"""Threads for work that is not inference: decoding, features, parsing. Bounded, and let go of with their caller."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from trigger_api.errors import Overloaded

T = TypeVar("T")


class Pool:
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
        errand = _Errand(work, args)
        future = self._threads.submit(errand.run)
        future.add_done_callback(lambda _: self._places.release())  # a thread that works on keeps its place
        try:
            result: T = await asyncio.wrap_future(future)
        finally:
            errand.forget()
        return result

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Errand:
    """Work for a thread. What is cancelled stays queued until a thread comes by: its arguments must not."""

    def __init__(self, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
        self._call: tuple[Callable[..., Any], Sequence[Any]] | None = (work, arguments)

    def run(self) -> Any:
        assert self._call is not None
        work, arguments = self._call
        return work(*arguments)

    def forget(self) -> None:
        self._call = None
