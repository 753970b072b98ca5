"""Batches the streams of one backbone: the audio that is waiting in all rooms is computed together."""

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
from trigger_api.scheduler import BatchQueue
from trigger_api.streaming.session import HopResult, StreamModel
from trigger_api.streaming.stream import Stream
from trigger_api.streaming.stream_batch import (
    CandidateBatch,
    HeadBatch,
    PrebatchedQueue,
    StreamBatch,
    prepare,
    update_state,
)

T = TypeVar("T")
# Audio arrives at a different moment from each room. Collecting it briefly makes a few full batches instead of many
# small ones; a single room sends less often than this, so it never waits.
_TICK_S = 0.02
_MAX_STREAMS = 128  # in one step, so that streams that become ready later need not wait long
_log = structlog.get_logger(__name__)


class StreamBatcher:
    """The task that serves all streams of one version of a backbone.

    Args:
        model: constants of the backbone.
        engine: computes the batches.
        pool: a thread for the front end, so that the decoding of clips never delays a stream.
        metrics: count the batches.
        on_detection: called with every hop that has a detection.
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
        self._head_users: Counter[Model] = Counter()
        self._ready: dict[Stream, None] = {}
        self._wake = asyncio.Event()
        self._last = 0.0
        self._backbone: dict[BatchQueue, PrebatchedQueue] = {}
        engine.scheduler.add(self._queue)
        self._task = asyncio.create_task(self._run())

    def join(self, stream: Stream) -> None:
        """Serve a stream from now on."""
        self.streams.add(stream)
        if self.model.backbone and stream.session.backbone:
            self._serve(self.model.backbone.queue, stream.session.backbone.catch_up_queue)
        self._head_users.update(keyword.model for keyword in stream.keywords)
        for head in self._head_users.keys() - self._heads.keys():
            self._heads[head] = PrebatchedQueue(head.queues[min(head.queues)], self._metrics)
            self._engine.scheduler.add(self._heads[head])

    def _serve(self, *queues: BatchQueue) -> None:
        for queue in queues:
            if queue not in self._backbone:
                self._backbone[queue] = PrebatchedQueue(queue, self._metrics)
                self._engine.scheduler.add(self._backbone[queue])

    def on_audio(self, stream: Stream) -> None:
        """Schedule a stream that has new audio: first come, first served."""
        self._ready.setdefault(stream)
        self._wake.set()

    def leave(self, stream: Stream) -> None:
        """Stop serving a stream."""
        self.streams.discard(stream)
        self._ready.pop(stream, None)
        self._head_users.subtract(keyword.model for keyword in stream.keywords)
        self._wake.set()

    async def close(self) -> None:
        """Stop. All streams must have left."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for queue in (self._queue, *self._backbone.values(), *self._heads.values()):
            self._engine.scheduler.remove(queue)

    async def _run(self) -> None:
        while True:
            await self._wait_for_audio()
            batch = list(islice(self._ready, _MAX_STREAMS))
            for stream in batch:
                del self._ready[stream]
            try:
                await self._step(batch)
            except Exception as error:  # one bad batch must not end the other streams
                self._fail_streams(batch, error)

    async def _wait_for_audio(self) -> None:
        while not self._ready:
            self._release_heads()
            self._wake.clear()
            await self._wake.wait()
        if len(self._ready) < _MAX_STREAMS:
            await asyncio.sleep(self._last + _TICK_S - time.monotonic())
        self._last = time.monotonic()

    def _release_heads(self) -> None:
        """Remove the queues of heads that no stream uses any more; between steps, since a step may be using them."""
        for head in [head for head in self._heads if not self._head_users[head]]:
            self._engine.scheduler.remove(self._heads.pop(head))
            del self._head_users[head]

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
        """A score for each session and keyword; 0 for sessions whose gate is closed."""
        scores = [[0.0] * len(session.keywords) for session in batch.sessions]
        if not batch.open:
            return scores
        deadline = time.monotonic() + self.model.queue.limits.deadline_s
        answers = await self._engine.infer(self._queue, batch.blocks, deadline)
        heads = await self._in_thread(update_state, self.model, batch, answers)
        await self._fill(scores, heads, deadline)
        if self.model.backbone is not None:
            await self._rescore(self.model.backbone, batch, scores, deadline)
        return scores

    async def _rescore(
        self, model: StreamModel, batch: StreamBatch, scores: list[list[float]], deadline: float
    ) -> None:
        """Score the rows that may contain a word again, on the embeddings of the backbone itself."""
        candidates = CandidateBatch.of(batch, scores)
        if candidates.rows:
            steps, windows = candidates.blocks(model, self._backbone[model.queue].rows)
            work = [(self._backbone[model.queue], steps)]
            work += [
                (self._backbone[stream.catch_up_queue], [window])
                for stream, window in zip(candidates.behind, windows, strict=True)
            ]
            answers = [answer for found in await self._engine.infer_all(work, deadline) for answer in found]
            await self._fill(scores, candidates.update_state(model, batch, answers), deadline)
            await self._amend(candidates, batch, deadline)

    async def _amend(self, candidates: CandidateBatch, batch: StreamBatch, deadline: float) -> None:
        """Let the backbone score the hop before as well, where it has just caught up: a detection lies between."""
        scores = [[0.0] * len(session.keywords) for session in batch.sessions]
        await self._fill(scores, candidates.earlier(batch), deadline)
        for row in candidates.behind_rows:
            batch.sessions[row].amend(scores[row])

    async def _fill(self, scores: list[list[float]], heads: Mapping[Model, HeadBatch], deadline: float) -> None:
        """Put the scores of each head into their places."""
        for batched, found in zip(heads.values(), await self._score_heads(heads, deadline), strict=True):
            for (row, column), score in zip(batched.places, found, strict=True):
                scores[row][column] = score

    async def _score_heads(self, heads: Mapping[Model, HeadBatch], deadline: float) -> list[list[float]]:
        """The scores of each head, in the order of its batch."""
        queues = [(self._heads[head], batched) for head, batched in heads.items()]
        work = [(queue, batched.blocks(queue.specs[0].name, queue.rows)) for queue, batched in queues]
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
        _log.error("streams failed", model=self.model.card.name, streams=len(streams), exc_info=error)
        known = error if isinstance(error, ServiceError) else ServiceError("internal error; this stream cannot go on")
        for stream in streams:
            stream.fail(known)
