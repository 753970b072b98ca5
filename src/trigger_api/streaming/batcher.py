"""Keeps the streams of one backbone in step: what waits in any room is heard in one batch."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from itertools import islice
from typing import TypeVar

import structlog

from trigger_api.errors import ServiceError
from trigger_api.inference import Engine
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Model
from trigger_api.streaming.session import HopResult, StreamModel
from trigger_api.streaming.stream import Stream
from trigger_api.streaming.stream_batch import HeadBatch, PrebatchedQueue, StreamBatch, prepare, remember

T = TypeVar("T")
# Rooms speak at their own times. Collecting for a moment makes a few full batches of many small ones; a room alone
# sends less often than that, and never waits.
_TICK_S = 0.02
_MOST = 128  # streams heard in one step; those that come later must not wait long for their turn
_log = structlog.get_logger(__name__)


class StreamBatcher:
    """One task for all streams of a backbone's version.

    Args:
        model: the backbone's constants.
        pool: one thread for the front end: clips being decoded never hold up a room.
        on_detection: told of every hop that has a detection.
    """

    def __init__(
        self,
        model: StreamModel,
        engine: Engine,
        pool: Executor,
        metrics: Metrics,
        on_detection: Callable[[Stream, HopResult], None],
    ) -> None:
        self.model = model
        self.streams: set[Stream] = set()
        self.users = 0
        self._engine = engine
        self._pool = pool
        self._metrics = metrics
        self._on_detection = on_detection
        self._queue = PrebatchedQueue(model.queue, metrics)
        self._heads: dict[Model, PrebatchedQueue] = {}
        self._listeners: Counter[Model] = Counter()
        self._ready: dict[Stream, None] = {}
        self._wake = asyncio.Event()
        self._last = 0.0
        engine.scheduler.add(self._queue)
        self._task = asyncio.create_task(self._run())

    def join(self, stream: Stream) -> None:
        """Hear a stream from now on."""
        self.streams.add(stream)
        self._listeners.update(keyword.model for keyword in stream.keywords)
        for head in self._listeners.keys() - self._heads.keys():
            self._heads[head] = PrebatchedQueue(head.queues[min(head.queues)], self._metrics)
            self._engine.scheduler.add(self._heads[head])

    def on_audio(self, stream: Stream) -> None:
        """Hear a stream soon. First come, first heard."""
        self._ready.setdefault(stream)
        self._wake.set()

    def leave(self, stream: Stream) -> None:
        """Hear it no more."""
        self.streams.discard(stream)
        self._ready.pop(stream, None)
        self._listeners.subtract(keyword.model for keyword in stream.keywords)
        self._wake.set()

    async def close(self) -> None:
        """Stop. No stream may be left."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for queue in (self._queue, *self._heads.values()):
            self._engine.scheduler.remove(queue)

    async def _run(self) -> None:
        while True:
            await self._gather()
            batch = list(islice(self._ready, _MOST))
            for stream in batch:
                del self._ready[stream]
            try:
                await self._step(batch)
            except Exception as error:  # one bad batch must not silence the other rooms
                self._fail_streams(batch, error)

    async def _gather(self) -> None:
        while not self._ready:
            self._release_heads()
            self._wake.clear()
            await self._wake.wait()
        if len(self._ready) < _MOST:
            await asyncio.sleep(self._last + _TICK_S - time.monotonic())
        self._last = time.monotonic()

    def _release_heads(self) -> None:
        """Let go of the heads that no stream listens with any more: here, for in a step one may be in use."""
        for head in [head for head in self._heads if not self._listeners[head]]:
            self._engine.scheduler.remove(self._heads.pop(head))
            del self._listeners[head]

    async def _step(self, streams: list[Stream]) -> None:
        sessions = [stream.session for stream in streams]
        audio = [session.take() for session in sessions]
        batch = await self._in_thread(prepare, self.model, sessions, audio, self._queue.rows)
        scores = await self._score(batch)
        owners = dict(zip(sessions, streams, strict=True))
        for session, level, own in zip(batch.sessions, batch.levels_dbfs, scores, strict=True):
            self._send(owners[session], session.decide(own, level))
        for stream in streams:
            self._reschedule(stream)

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def _score(self, batch: StreamBatch) -> list[list[float]]:
        """Scores of every row, a keyword each; what a gate kept out scores nothing."""
        scores = [[0.0] * len(session.keywords) for session in batch.sessions]
        if not batch.open:
            return scores
        deadline = time.monotonic() + self.model.queue.limits.deadline_s
        answers = await self._engine.infer(self._queue, batch.blocks, deadline)
        heads = await self._in_thread(remember, self.model, batch, answers)
        for asked, found in zip(heads.values(), await self._ask(heads, deadline), strict=True):
            for (row, place), score in zip(asked.places, found, strict=True):
                scores[row][place] = score
        return scores

    async def _ask(self, heads: Mapping[Model, HeadBatch], deadline: float) -> list[list[float]]:
        """The scores of each head."""
        queues = [(self._heads[head], asked) for head, asked in heads.items()]
        work = [(queue, asked.blocks(queue.specs[0].name, queue.rows)) for queue, asked in queues]
        answers = await self._engine.infer_all(work, deadline)
        names = [head.card.outputs[0].name for head in heads]
        return [
            [score for answer in found for score in answer[name].reshape(-1).tolist()]
            for name, found in zip(names, answers, strict=True)
        ]

    def _send(self, stream: Stream, result: HopResult) -> None:
        if stream.ended:
            return
        stream.send(result)
        if result.detections:
            self._on_detection(stream, result)

    def _reschedule(self, stream: Stream) -> None:
        if stream not in self.streams or stream.ended:
            return
        if stream.session.ready:
            self.on_audio(stream)
        elif stream.session.finishing:
            stream.end()

    def _fail_streams(self, streams: list[Stream], error: Exception) -> None:
        _log.error("streams lost", model=self.model.card.name, streams=len(streams), exc_info=error)
        known = error if isinstance(error, ServiceError) else ServiceError("the server failed to hear this stream")
        for stream in streams:
            stream.fail(known)
