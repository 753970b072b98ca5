"""Memory of a long-running process: freed memory is returned, and long-lived objects are not scanned again.

The C library keeps freed memory, some of it for every thread. And Python's garbage collector scans all objects now and
then, which with TensorFlow imported stops all requests for a tenth of a second.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_INTERVAL_S = 20.0
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # mallopt's parameters
_ARENAS = 2  # glibc would use eight per core, each of which keeps freed memory
_MIB = 1024 * 1024


def limit_malloc_arenas() -> None:
    """Limit the number of malloc's arenas, and keep freed memory until it is trimmed. Call it before threads start.

    An inference frees at its end what the next one allocates again. If it were returned to the system each time, every
    page would have to be cleared again: a tenth of the time of an inference, a quarter with large batches.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_ARENA_MAX, _ARENAS)
        library.mallopt(_MMAP_THRESHOLD, 32 * _MIB)  # the maximum
        library.mallopt(_TRIM_THRESHOLD, 256 * _MIB)


def malloc_trim() -> None:
    """Return freed memory to the system, with glibc. Other C libraries do so by themselves."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def gc_pause() -> None:
    """Collect no garbage until ``gc_freeze``: imports and models make many objects that stay, and none to collect."""
    gc.disable()


def gc_freeze() -> None:
    """Exclude all objects that exist now from garbage collection. Call it when the models are loaded."""
    gc.enable()
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def gc_unfreeze() -> None:
    """Include all objects in garbage collection again. Call it after something large is released, such as a model."""
    gc.unfreeze()


def trim_memory() -> None:
    """Return freed memory to the system; collect and freeze again if ``gc_unfreeze`` was called."""
    if not gc.get_freeze_count():
        gc_freeze()
    malloc_trim()


@asynccontextmanager
async def periodic_trim(interval_s: float = _INTERVAL_S, trim: Callable[[], None] = trim_memory) -> AsyncIterator[None]:
    """Return freed memory at an interval for the duration of the block."""
    task = asyncio.create_task(_run(interval_s, trim))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(interval_s: float, trim: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(interval_s)
        await asyncio.to_thread(trim)  # it takes milliseconds, without the GIL
