"""Freed memory, given back: the C library keeps what it once had, some of it for every thread that ever ran."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_EVERY_S = 20.0
_ARENA_MAX = -8  # mallopt's parameter
_ARENAS = 2  # glibc would keep eight a core, each with freed memory of its own


def spare() -> None:
    """Keep freed memory in few places, where the C library can. Call it before there are threads."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Give unused memory back to the system, where the C library can: glibc does, others have no need."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


@asynccontextmanager
async def trimmed(every_s: float = _EVERY_S, give_back: Callable[[], None] = trim) -> AsyncIterator[None]:
    """Give memory back now and then, for as long as the block lasts."""
    task = asyncio.create_task(_run(every_s, give_back))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(every_s: float, give_back: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(give_back)  # it takes milliseconds, and other threads may go on
