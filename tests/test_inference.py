from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from helpers.doubler import Doubler, counted, deadline, held, items, make_queue
from helpers.until import let_others_run, until
from trigger_api.errors import DeadlineExceeded, Overloaded
from trigger_api.inference import Engine, PreprocessPool
from trigger_api.observability.metrics import Metrics
from trigger_api.scheduler import Tensors


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


class Tracked(Doubler):
    """Notes which threads it runs in."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def __call__(self, tensors: Tensors) -> Tensors:
        self.threads.add(threading.get_ident())
        return super().__call__(tensors)


class TestEngine:
    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        made = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=1)
        yield made
        asyncio.run(made.close(5))

    async def test_nothing_is_answered_with_nothing(self, engine: Engine) -> None:
        assert await engine.infer_all([], deadline()) == []

    async def test_infer_answers_in_order(self, engine: Engine, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        engine.scheduler.add(queue)
        answers = await engine.infer(queue, items([1, 2, 3, 4, 5]), deadline())
        assert [answer["y"][0] for answer in answers] == [2, 4, 6, 8, 10]

    async def test_a_cancelled_caller_frees_its_slots(self, engine: Engine, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        engine.scheduler.add(queue)
        held(engine.scheduler, queue, doubler)
        call = asyncio.create_task(engine.infer(queue, items([1, 2]), deadline()))
        await until(lambda: len(queue.waiting) == 2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(queue.waiting) == 0

    async def test_the_deadline_drops_the_work(self, engine: Engine, doubler: Doubler) -> None:
        metrics = Metrics()
        queue = make_queue(doubler, metrics=metrics)
        engine.scheduler.add(queue)
        held(engine.scheduler, queue, doubler)
        with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
            async with engine.deadline(0.05) as when:
                await engine.infer(queue, items([1]), when)
        assert len(queue.waiting) == 0
        assert counted(metrics, "expired") == 1

    @pytest.mark.parametrize(("seconds", "here"), [(0.0, True), (1.0, False)])
    async def test_what_is_quick_is_computed_by_the_caller_in_one_batch(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch, seconds: float, here: bool
    ) -> None:
        tracked = Tracked()
        queue = make_queue(tracked)
        engine.scheduler.add(queue)
        monkeypatch.setattr(queue, "seconds", lambda count: seconds)
        calls = [engine.infer(queue, items([value]), deadline()) for value in (1, 2, 3)]
        assert [answer["y"][0] for (answer,) in await asyncio.gather(*calls)] == [2, 4, 6]
        assert (tracked.threads == {threading.get_ident()}) == here
        assert not here or tracked.items == [3]

    async def test_preprocessing_is_bounded(self, engine: Engine) -> None:
        gate = threading.Event()
        first, second = (asyncio.create_task(engine.preprocess(gate.wait, 30)) for _ in range(2))
        await let_others_run()
        with pytest.raises(Overloaded):
            await engine.preprocess(gate.wait, 30)
        gate.set()
        assert await first
        assert await second
        assert await engine.preprocess(sum, [1, 2]) == 3

    async def test_callers_whose_time_runs_out_together_leave_the_workers_alive(self, doubler: Doubler) -> None:
        engine = Engine(inference_threads=2, preprocess_threads=1, preprocess_queue=1)
        queue = make_queue(Doubler(seconds=0.002), queue=10_000)
        engine.scheduler.add(queue)

        async def call() -> None:
            with suppress(DeadlineExceeded):
                async with engine.deadline(0.02) as when:
                    await engine.infer(queue, items([1, 2, 3, 4]), when)

        for _ in range(20):
            await asyncio.gather(*(call() for _ in range(30)))
        async with engine.deadline(5) as when:
            assert len(await engine.infer(queue, items(range(1, 9)), when)) == 8
        assert all(thread.is_alive() for thread in engine.scheduler._threads)
        await engine.close(5)

    async def test_an_idle_engine_waits_for_nothing(self, engine: Engine, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        engine.scheduler.add(queue)
        await engine.infer(queue, items([1]), deadline())
        times = []
        for _ in range(50):
            started = time.perf_counter()
            await engine.infer(queue, items([1]), deadline())
            times.append(time.perf_counter() - started)
        # Not a benchmark: with a window of even 10 ms, no request at all would be quicker than that.
        assert min(times) < 0.008


async def occupied(pool: PreprocessPool, gate: threading.Event) -> asyncio.Task[bool]:
    """A task whose work holds the only thread until the gate opens."""
    entered = threading.Event()

    def work() -> bool:
        entered.set()
        return gate.wait(30)

    task = asyncio.create_task(pool.run(work))
    await until(entered.is_set)
    return task


class TestPreprocessPool:
    async def test_work_is_done_and_its_errors_are_the_callers(self, pool: PreprocessPool) -> None:
        assert await pool.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 7, 0)

    async def test_the_queue_is_bounded(self, pool: PreprocessPool, gate: threading.Event) -> None:
        tasks = [asyncio.create_task(pool.run(gate.wait, 30)) for _ in range(2)]
        await let_others_run()
        with pytest.raises(Overloaded):
            await pool.run(gate.wait, 30)
        gate.set()
        assert all(await asyncio.gather(*tasks))

    async def test_a_thread_that_is_still_working_keeps_its_slot(
        self, pool: PreprocessPool, gate: threading.Event
    ) -> None:
        working = await occupied(pool, gate)
        working.cancel()
        waiting = asyncio.create_task(pool.run(gate.wait, 30))
        await let_others_run()
        with pytest.raises(Overloaded):
            await pool.run(gate.wait, 30)
        gate.set()
        assert await waiting

    async def test_the_arguments_of_a_cancelled_call_are_released_at_once(
        self, pool: PreprocessPool, gate: threading.Event
    ) -> None:
        working = await occupied(pool, gate)
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
