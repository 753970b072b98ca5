from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from trigger_api.errors import Overloaded
from trigger_api.inference import PreprocessPool


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def pool(gate: threading.Event) -> Iterator[PreprocessPool]:
    made = PreprocessPool(threads=1, queue=1)
    yield made
    gate.set()
    made.close()


async def test_work_is_done_and_its_errors_are_the_callers(pool: PreprocessPool) -> None:
    assert await pool.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 7, 0)


async def test_places_are_bounded(pool: PreprocessPool, gate: threading.Event) -> None:
    tasks = [asyncio.create_task(pool.run(gate.wait, 5)) for _ in range(2)]
    await asyncio.sleep(0.02)
    with pytest.raises(Overloaded):
        await pool.run(gate.wait, 5)
    gate.set()
    assert all(await asyncio.gather(*tasks))


async def test_a_thread_that_works_on_keeps_its_place(pool: PreprocessPool, gate: threading.Event) -> None:
    working = asyncio.create_task(pool.run(gate.wait, 5))
    await asyncio.sleep(0.02)
    working.cancel()
    waiting = asyncio.create_task(pool.run(gate.wait, 5))
    await asyncio.sleep(0.02)
    with pytest.raises(Overloaded):
        await pool.run(gate.wait, 5)
    gate.set()
    assert await waiting


async def test_what_a_gone_caller_brought_is_let_go_at_once(pool: PreprocessPool, gate: threading.Event) -> None:
    working = asyncio.create_task(pool.run(gate.wait, 5))
    await asyncio.sleep(0.02)
    traces = []
    for _ in range(50):
        upload = np.zeros(1_000)
        traces.append(weakref.ref(upload))
        task = asyncio.create_task(pool.run(np.sum, upload))
        del upload
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        del task
    gc.collect()
    assert not [trace for trace in traces if trace() is not None]
    gate.set()
    assert await working
