from __future__ import annotations

import gc
import math
import threading
import time
import weakref
from concurrent.futures import CancelledError, wait

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.doubler import FAR, Doubler, counted, deadline, held, items, make_queue
from trigger_api.errors import DeadlineExceeded, Overloaded
from trigger_api.observability.metrics import Metrics
from trigger_api.scheduler import Job, Scheduler


class TestBatchQueue:
    def test_an_item_may_be_cancelled_at_the_last_moment(self, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        jobs = [Job(item, deadline(), 0.0) for item in items([1, 2])]
        queue.waiting.extend(jobs)
        jobs[0].future.cancel()
        assert queue.next_batch(time.monotonic()) == [jobs[1]]

    def test_an_item_may_be_cancelled_as_it_expires(self, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        jobs = [Job(item, deadline(-1), 0.0) for item in items([1, 2])]
        queue.waiting.extend(jobs)
        jobs[0].future.cancel()
        assert queue.next_batch(time.monotonic()) == []
        assert isinstance(jobs[1].future.exception(), DeadlineExceeded)

    def test_the_running_mean_follows_the_batches(self, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        queue.record_batch(1.0)
        queue.record_batch(2.0)
        assert queue.service_time == 3.0
        assert queue.batch_seconds == pytest.approx(1.2)

    def test_the_time_of_a_batch_is_known_once_it_was_computed(self, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        assert queue.seconds(3) == math.inf
        queue.compute(items([1, 2, 3]))
        assert queue.seconds(1) == math.inf
        assert queue.seconds(3) == queue.seconds(4) < 1
        assert queue.seconds(5) == math.inf

    def test_a_model_that_becomes_slow_is_noticed(self, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        queue.compute(items([1]))
        doubler.seconds = 0.02
        before = queue.seconds(1)
        for _ in range(3):
            queue.compute(items([1]))
        assert queue.seconds(1) > before * 1.1


class TestServe:
    """A queue that is served by the thread that filled it."""

    def test_it_is_computed_at_once(self, scheduler: Scheduler, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        queue.compute(items([1]))
        (answer,) = scheduler.submit(queue, items([3]), deadline(), wake=False)
        scheduler.serve(queue)
        assert answer.done()
        assert answer.result()["y"].tolist() == [6, 6]
        assert queue.idle

    def test_a_batch_that_is_not_known_to_be_quick_is_left_to_a_thread(
        self, scheduler: Scheduler, doubler: Doubler
    ) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        (answer,) = scheduler.submit(queue, items([3]), deadline(), wake=False)
        scheduler.serve(queue)
        assert answer.result(5)["y"].tolist() == [6, 6]

    def test_what_has_expired_is_not_computed(self, scheduler: Scheduler, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        queue.compute(items([1]))
        (late,) = scheduler.submit(queue, items([3]), deadline(-1), wake=False)
        scheduler.serve(queue)
        assert isinstance(late.exception(), DeadlineExceeded)
        assert len(doubler.sizes) == 1
        assert queue.idle

    def test_nothing_is_left_to_do(self, scheduler: Scheduler, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        scheduler.serve(queue)
        assert doubler.sizes == []


class TestScheduler:
    def test_a_lone_item_is_computed_alone(self, scheduler: Scheduler, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        (answer,) = scheduler.submit(queue, items([3]), deadline())
        assert answer.result(5)["y"].tolist() == [6, 6]
        assert doubler.sizes == [1]

    def test_waiting_items_are_batched_and_padded_to_an_allowed_size(
        self, scheduler: Scheduler, doubler: Doubler
    ) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        held(scheduler, queue, doubler)
        answers = scheduler.submit(queue, items([1, 2, 3]), deadline())
        doubler.gate.set()
        assert [answer.result(5)["y"][0] for answer in answers] == [2, 4, 6]
        assert doubler.sizes == [1, 4]
        assert doubler.items == [1, 3]

    def test_size_one_works(self, scheduler: Scheduler, doubler: Doubler) -> None:
        queue = make_queue(doubler, batch_sizes=(1,))
        scheduler.add(queue)
        answers = scheduler.submit(queue, items([1, 2, 3]), deadline())
        assert [answer.result(5)["y"][0] for answer in answers] == [2, 4, 6]
        assert doubler.sizes == [1, 1, 1]

    def test_cancelling_one_of_four_leaves_three_answered(self, scheduler: Scheduler, doubler: Doubler) -> None:
        metrics = Metrics()
        queue = make_queue(doubler, metrics=metrics)
        scheduler.add(queue)
        held(scheduler, queue, doubler)
        answers = scheduler.submit(queue, items([1, 2, 3, 4]), deadline())
        assert answers[1].cancel()
        assert len(queue.waiting) == 3
        doubler.gate.set()
        assert [answers[i].result(5)["y"][0] for i in (0, 2, 3)] == [2, 6, 8]
        assert counted(metrics, "cancelled") == 1

    def test_one_that_runs_cannot_be_cancelled(self, scheduler: Scheduler, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        first = held(scheduler, queue, doubler)
        assert not first.cancel()
        doubler.gate.set()
        assert first.result(5)["y"][0] == 198

    def test_a_bad_item_does_not_hurt_its_batch_mates(self, scheduler: Scheduler, doubler: Doubler) -> None:
        metrics = Metrics()
        queue = make_queue(doubler, metrics=metrics)
        scheduler.add(queue)
        held(scheduler, queue, doubler)
        answers = scheduler.submit(queue, items([1, np.nan, 3]), deadline())
        doubler.gate.set()
        assert [answers[i].result(5)["y"][0] for i in (0, 2)] == [2, 6]
        with pytest.raises(ArithmeticError):
            answers[1].result(5)
        assert counted(metrics, "failed") == 1

    def test_an_item_of_another_shape_is_refused_before_it_is_queued(
        self, scheduler: Scheduler, doubler: Doubler
    ) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        for wrong in ({"x": np.zeros(3, np.float32)}, {"z": np.zeros(2, np.float32)}):
            with pytest.raises(ValueError, match="takes x of shape"):
                scheduler.submit(queue, [wrong], deadline())
        assert queue.idle

    def test_a_full_queue_rejects_items_with_a_retry_after(self, scheduler: Scheduler, doubler: Doubler) -> None:
        metrics = Metrics()
        queue = make_queue(doubler, queue=2, metrics=metrics, concurrency=1)
        scheduler.add(queue)
        queue.batch_seconds = 7.0
        held(scheduler, queue, doubler)
        scheduler.submit(queue, items([1, 2]), deadline())
        with pytest.raises(Overloaded) as refused:
            scheduler.submit(queue, items([3]), deadline())
        assert refused.value.headers == {"Retry-After": "14"}  # the running batch and the waiting one
        assert counted(metrics, "shed") == 1

    def test_an_expired_item_is_not_computed(self, scheduler: Scheduler, doubler: Doubler) -> None:
        metrics = Metrics()
        queue = make_queue(doubler, metrics=metrics)
        scheduler.add(queue)
        held(scheduler, queue, doubler)
        soon = deadline(0.01)
        (late,) = scheduler.submit(queue, items([1]), soon)
        (fine,) = scheduler.submit(queue, items([2]), deadline())
        while time.monotonic() < soon:
            time.sleep(0.005)
        doubler.gate.set()
        with pytest.raises(DeadlineExceeded):
            late.result(5)
        assert fine.result(5)["y"][0] == 4
        assert counted(metrics, "expired") == 1

    def test_a_batch_of_expired_items_only_is_none(self, scheduler: Scheduler, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        (late,) = scheduler.submit(queue, items([1]), deadline(-1))
        with pytest.raises(DeadlineExceeded):
            late.result(5)
        assert doubler.sizes == []

    def test_a_model_keeps_to_its_concurrency(self, doubler: Doubler) -> None:
        scheduler = Scheduler(threads=2)
        queue = make_queue(doubler, concurrency=1)
        scheduler.add(queue)
        held(scheduler, queue, doubler)
        (second,) = scheduler.submit(queue, items([1]), deadline())
        assert not queue.has_capacity
        assert queue.running == 1
        doubler.gate.set()
        assert second.result(5)["y"][0] == 2
        scheduler.close(grace=5)

    def test_a_busy_model_does_not_starve_another(self, scheduler: Scheduler) -> None:
        slow, quick = Doubler(seconds=0.01), Doubler()
        busy, rare = make_queue(slow, name="busy", batch_sizes=(1,)), make_queue(quick, name="rare", batch_sizes=(1,))
        scheduler.add(busy)
        scheduler.add(rare)
        held(scheduler, busy, slow)  # both queues are full before the worker chooses between them
        many = scheduler.submit(busy, items(range(1, 31)), deadline())
        (one,) = scheduler.submit(rare, items([1]), deadline())
        done_before: list[int] = []
        one.add_done_callback(lambda _: done_before.append(sum(future.done() for future in many)))
        slow.gate.set()
        wait([*many, one], 30)
        assert done_before[0] <= 2

    def test_an_idle_model_earns_no_credit(self, scheduler: Scheduler, doubler: Doubler) -> None:
        busy, idle = make_queue(doubler, name="busy"), make_queue(doubler, name="idle")
        scheduler.add(busy)
        scheduler.add(idle)
        busy.service_time = 100.0
        held(scheduler, busy, doubler)
        scheduler.submit(idle, items([1]), deadline())
        assert idle.service_time == 100.0

    def test_close_finishes_accepted_items(self, doubler: Doubler) -> None:
        scheduler = Scheduler(threads=1)
        queue = make_queue(doubler)
        scheduler.add(queue)
        held(scheduler, queue, doubler)
        answers = scheduler.submit(queue, items([1, 2]), deadline())
        threading.Timer(0.05, doubler.gate.set).start()
        scheduler.close(grace=5)
        assert [answer.result(0)["y"][0] for answer in answers] == [2, 4]
        with pytest.raises(Overloaded, match="shutting down"):
            scheduler.submit(queue, items([1]), deadline())

    def test_close_gives_up_after_its_grace(self, doubler: Doubler) -> None:
        scheduler = Scheduler(threads=1)
        queue = make_queue(doubler)
        scheduler.add(queue)
        held(scheduler, queue, doubler)
        (waiting,) = scheduler.submit(queue, items([1]), deadline())
        scheduler.close(grace=0.01)
        with pytest.raises(CancelledError):
            waiting.result(0)

    def test_a_queue_may_be_removed_twice(self, scheduler: Scheduler, doubler: Doubler) -> None:
        queue = make_queue(doubler)
        scheduler.add(queue)
        scheduler.remove(queue)
        scheduler.remove(queue)
        (never,) = scheduler.submit(queue, items([1]), deadline())
        other = make_queue(doubler)
        scheduler.add(other)
        (served,) = scheduler.submit(other, items([1]), deadline())
        assert served.result(5)["y"][0] == 2
        assert not never.done()

    def test_nothing_leaks_after_ten_thousand_aborted_requests(self, scheduler: Scheduler, doubler: Doubler) -> None:
        queue = make_queue(doubler, queue=20_000)
        scheduler.add(queue)
        held(scheduler, queue, doubler)
        traces = []
        for _ in range(10_000):
            (future,) = scheduler.submit(queue, items([1]), deadline())
            traces.append(weakref.ref(future))
            future.cancel()
        del future
        assert len(queue.waiting) == 0
        gc.collect()
        assert not [trace for trace in traces if trace() is not None]

    @given(
        sizes=st.sets(st.integers(1, 9), min_size=1, max_size=4),
        requests=st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.booleans()), max_size=12),
    )
    @hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_every_item_is_answered_cancelled_or_expired_within_the_limits(
        self, sizes: set[int], requests: list[tuple[int, bool, bool]]
    ) -> None:
        doubler, scheduler = Doubler(), Scheduler(threads=2)
        queue = make_queue(doubler, batch_sizes=tuple(sorted(sizes)), queue=1000, concurrency=2)
        scheduler.add(queue)
        sent = [
            (scheduler.submit(queue, items(range(1, count + 1)), deadline(-1 if late else FAR)), cancel, late)
            for count, cancel, late in requests
        ]
        for futures, cancel, _ in sent:
            if cancel:
                futures[0].cancel()
        scheduler.close(grace=10)
        for futures, cancel, late in sent:
            for number, future in enumerate(futures, 1):
                assert future.done()
                if future.cancelled():
                    assert cancel
                    assert number == 1
                elif late:
                    assert isinstance(future.exception(), DeadlineExceeded)
                else:
                    assert future.result()["y"].tolist() == [2 * number] * 2
        assert queue.idle
        assert set(doubler.sizes) <= sizes
        assert all(count <= max(sizes) for count in doubler.items)
