import asyncio
import ctypes
import gc
import weakref
from collections.abc import Iterator
from threading import Event

import pytest

from helpers.memory import resident_mib
from trigger_api.observability.memory import (
    gc_freeze,
    gc_pause,
    gc_unfreeze,
    limit_malloc_arenas,
    malloc_trim,
    periodic_trim,
    trim_memory,
)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_freed_memory_is_returned_to_the_system() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    blocks = [library.malloc(64 * 1024) for _ in range(1024)]
    for block in blocks:
        library.memset(block, 1, 64 * 1024)
    last = blocks.pop()  # what lies above keeps the library from giving back what lies below by itself
    for block in blocks:
        library.free(block)
    before = resident_mib()
    malloc_trim()
    after = resident_mib()
    library.free(last)
    assert before - after > 32


def test_threads_share_freed_memory() -> None:
    limit_malloc_arenas()
    limit_malloc_arenas()  # twice does no harm


class Cycle:
    """What only the collector frees."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def unsettled() -> Iterator[None]:
    gc_unfreeze()
    yield
    gc_unfreeze()


@pytest.mark.usefixtures("unsettled")
def test_frozen_objects_are_collected_only_after_unfreezing() -> None:
    old = Cycle()
    gc_freeze()
    gone = weakref.ref(old)
    del old
    trim_memory()
    gc.collect()
    assert gone() is not None
    gc_unfreeze()
    trim_memory()
    assert gone() is None
    assert gc.get_freeze_count()


@pytest.mark.usefixtures("unsettled")
def test_a_pause_ends_with_freezing() -> None:
    gc_pause()
    assert not gc.isenabled()
    gc_freeze()
    assert gc.isenabled()


@pytest.mark.usefixtures("unsettled")
def test_later_objects_are_still_collected() -> None:
    gc_freeze()
    gone = weakref.ref(Cycle())
    gc.collect()
    assert gone() is None


async def test_memory_is_trimmed_again_and_again() -> None:
    times, twice = [], Event()

    def trim() -> None:
        times.append(1)
        if len(times) == 2:
            twice.set()

    async with periodic_trim(0.001, trim):
        assert await asyncio.to_thread(twice.wait, 10)
    seen = len(times)
    await asyncio.sleep(0.02)  # twenty times as long as it would wait
    assert len(times) == seen
