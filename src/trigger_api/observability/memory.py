"""Memory of a process that runs for months: what is freed is given back, what stays is not gone through for ever.

The C library keeps what it once had, some of it for every thread that ever ran; and the collector goes through every
living object now and then, which with TensorFlow imported stops all requests for a tenth of a second each time.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_EVERY_S = 20.0
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # mallopt's parameters
_ARENAS = 2  # glibc would keep eight a core, each with freed memory of its own
_MIB = 1024 * 1024


def limit_malloc_arenas() -> None:
    """Keep freed memory in few places, and until it is trimmed, where the C library can. For before there are threads.

    A network frees at its end what its next run takes again. Were it given back each time, every page of it would have
    to be cleared anew: a tenth of a network's time, a quarter where batches are large.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_ARENA_MAX, _ARENAS)
        library.mallopt(_MMAP_THRESHOLD, 32 * _MIB)  # the largest that it takes
        library.mallopt(_TRIM_THRESHOLD, 256 * _MIB)


def trim() -> None:
    """Give unused memory back to the system, where the C library can: glibc does, others have no need."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def gc_freeze() -> None:
    """What lives now stays: the collector need not look at it again. For the moment when models have been loaded."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def gc_unfreeze() -> None:
    """Some of what seemed to stay has gone, such as a model: the collector may look everywhere again."""
    gc.unfreeze()


def tidy() -> None:
    """Give memory back, and settle again if something has gone since."""
    if not gc.get_freeze_count():
        gc_freeze()
    trim()


@asynccontextmanager
async def periodic_trim(every_s: float = _EVERY_S, give_back: Callable[[], None] = tidy) -> AsyncIterator[None]:
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
