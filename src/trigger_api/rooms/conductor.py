"""Keeps the streams of one model in step: what waits in any room is heard in one batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import islice

import numpy as np
import structlog
from numpy.typing import NDArray

from trigger_api.errors import ServiceError
from trigger_api.inference import Engine
from trigger_api.metrics import Metrics
from trigger_api.rooms.blocks import Block, BlockLane, prepare, tensors
from trigger_api.rooms.session import Ear, Heard
from trigger_api.rooms.stream import Stream

# Rooms speak at their own times. Collecting for a moment makes a few full batches of many small ones; a room alone
# sends less often than that, and never waits.
_TICK_S = 0.02
_log = structlog.get_logger(__name__)


class Conductor:
    """One task for all streams of a model version.

    Args:
        ear: the model's constants.
        pool: one thread for the front end: clips being decoded never hold up a room.
        heard: told of every hop that has a detection.
    """

    def __init__(
        self, ear: Ear, engine: Engine, pool: Executor, metrics: Metrics, heard: Callable[[Stream, Heard], None]
    ) -> None:
        self.ear = ear
        self.streams: set[Stream] = set()
        self.users = 0
        self._engine = engine
        self._pool = pool
        self._metrics = metrics
        self._heard = heard
        self._lane = BlockLane(ear.lane, metrics)
        self._ready: dict[Stream, None] = {}
        self._wake = asyncio.Event()
        self._last = 0.0
        engine.scheduler.add(self._lane)
        self._task = asyncio.create_task(self._run())

    def fed(self, stream: Stream) -> None:
        """Hear a stream soon. First come, first heard."""
        self._ready.setdefault(stream)
        self._wake.set()

    def leave(self, stream: Stream) -> None:
        """Hear it no more."""
        self.streams.discard(stream)
        self._ready.pop(stream, None)

    async def close(self) -> None:
        """Stop. No stream may be left."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._engine.scheduler.remove(self._lane)

    async def _run(self) -> None:
        while True:
            await self._gather()
            batch = list(islice(self._ready, self._lane.rows))
            for stream in batch:
                del self._ready[stream]
            try:
                await self._step(batch)
            except Exception as error:  # one bad batch must not silence the other rooms
                self._lose(batch, error)

    async def _gather(self) -> None:
        if not self._ready:
            self._wake.clear()
            await self._wake.wait()
        if len(self._ready) < self._lane.rows:
            await asyncio.sleep(self._last + _TICK_S - time.monotonic())
        self._last = time.monotonic()

    async def _step(self, batch: list[Stream]) -> None:
        loop = asyncio.get_running_loop()
        sessions = [stream.session for stream in batch]
        block = await loop.run_in_executor(
            self._pool, prepare, self.ear, sessions, [session.take() for session in sessions]
        )
        scores = await self._infer(block)
        streams = dict(zip(sessions, batch, strict=True))
        for row, session in enumerate(block.sessions):
            self._conclude(streams[session], session.conclude(scores[row], block.levels_dbfs[row]))
        for stream in batch:
            self._carry_on(stream)

    async def _infer(self, block: Block) -> NDArray[np.float32]:
        """Scores of every row; what a gate kept out scores nothing. States go back to where they came from."""
        scores = np.zeros((len(block.sessions), self.ear.scores), np.float32)
        if block.open:
            deadline = time.monotonic() + self.ear.lane.limits.deadline_s
            (answer,) = await self._engine.infer(self._lane, [tensors(self.ear, block)], deadline)
            scores[block.open] = answer["scores"].reshape(len(block.open), -1)
            for row, state in zip(block.open, answer[self.ear.state.name], strict=True):
                block.sessions[row].state[...] = state  # in place: a view would keep the whole block alive
        return scores

    def _conclude(self, stream: Stream, heard: Heard) -> None:
        if stream.ended:
            return
        stream.tell(heard)
        if heard.detections:
            self._heard(stream, heard)

    def _carry_on(self, stream: Stream) -> None:
        if stream not in self.streams or stream.ended:
            return
        if stream.session.ready:
            self.fed(stream)
        elif stream.session.finishing:
            stream.end()

    def _lose(self, batch: list[Stream], error: Exception) -> None:
        _log.error("streams lost", model=self.ear.card.name, streams=len(batch), exc_info=error)
        known = error if isinstance(error, ServiceError) else ServiceError("the server failed to hear this stream")
        for stream in batch:
            stream.fail(known)
