"""Works on jobs of one kind, one at a time. A lease in the database keeps two servers from working on one."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.errors import ServiceError, StorageUnavailable
from trigger_api.inference import PreprocessPool
from trigger_api.storage import jobs
from trigger_api.storage.database import Database
from trigger_api.storage.tables import Job, now
from trigger_api.storage.uncancelled import Uncancelled

T = TypeVar("T")
Store = Callable[[AsyncSession], Awaitable[None]]
"""Writes the result of a job, and that it is done, in one transaction."""
_LOOK_S = 2.0  # between looks for work that another server has accepted
_BEAT_S, _LEASE = 1.0, timedelta(seconds=30)
_ATTEMPTS = 3
_RECEIVED, _REMEMBERED = timedelta(hours=1), timedelta(days=30)
_SWEEP_S = 600.0
_log = structlog.get_logger(__name__)


class Kind(Protocol):
    """What is done with jobs of one kind."""

    async def claim(self, session: AsyncSession, *, worker: str, lost_before: datetime) -> Job | None:
        """Take the next job, if there is one."""

    async def work(self, lease: Lease) -> Store:
        """Do what the job asks for.

        Raises:
            ServiceError: the job has failed; the message says why.
        """

    async def clear(self, job: Job) -> None:
        """Remove what a job that was cancelled or has failed has left outside of the database."""


class JobRunner:
    """The work of one process.

    Args:
        database: holds the jobs.
        kind: what is done with them.
    """

    def __init__(self, database: Database, kind: Kind) -> None:
        self.worker = uuid.uuid4().hex
        self.database = database
        self.kind = kind
        self.pool = PreprocessPool(1, 4)
        self.uncancelled = Uncancelled()
        self._wake = asyncio.Event()
        self._swept = 0.0
        self._running = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Look for work at once."""
        self._wake.set()

    async def close(self) -> None:
        """Stop. A job that was begun is given back."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self.uncancelled.finish()
        self.pool.close()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                job = await self.uncancelled.run(self._claim())
            except ServiceError:  # the database is away
                job = None
            if job is not None:
                await Lease(job, self).run()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()

    async def _claim(self) -> Job | None:
        async with self.database.write() as session:
            if time.monotonic() - self._swept > _SWEEP_S or not self._swept:
                self._swept = time.monotonic()
                await jobs.remove_stale(session, received_before=now() - _RECEIVED, finished_before=now() - _REMEMBERED)
            return await self.kind.claim(session, worker=self.worker, lost_before=now() - _LEASE)


class Lease:
    """The work on one job, for as long as it is this process's.

    Attributes:
        job: the job.
        worker: this process.
        progress: how far the work is, from 0 to 1; whoever works says so here.
        parameters: the job's, with what else is to be known of the work.
    """

    def __init__(self, job: Job, runner: JobRunner) -> None:
        self.job = job
        self.worker = runner.worker
        self.progress = 0.0
        self.parameters = dict(job.parameters)
        self._runner = runner
        self._database = runner.database

    async def run(self) -> None:
        """Finish the job, unless it is cancelled, taken by another server, or this one stops."""
        work, lease = asyncio.create_task(self._finish()), asyncio.create_task(self._keep())
        try:
            await asyncio.wait({work, lease}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _cancel(work, lease)
            with suppress(ServiceError):
                await self._runner.uncancelled.run(self._give_back())
            raise
        cancelled = not work.done()
        await _cancel(work, lease)
        if cancelled:
            await self._runner.kind.clear(self.job)

    async def media_chunk(self, number: int) -> bytes | None:
        """A chunk of the job's recordings; None if there are fewer. It waits for a database that is away."""
        return await self._patiently(self._chunk, number)

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Run what takes time."""
        return await self._runner.pool.run(work, *arguments)

    async def _keep(self) -> None:
        """Say now and then how far the work is. It ends when the job is no longer ours."""
        ours = True
        while ours:
            await asyncio.sleep(_BEAT_S)
            with suppress(ServiceError):
                ours = await self._runner.uncancelled.run(self._beat())

    async def _beat(self) -> bool:
        async with self._database.write() as session:
            return await jobs.beat(
                session, job_id=self.job.id, worker=self.worker, progress=self.progress, parameters=self.parameters
            )

    async def _give_back(self) -> None:
        async with self._database.write() as session:
            await jobs.give_back(session, job_id=self.job.id, worker=self.worker)

    async def _finish(self) -> None:
        try:
            if self.job.attempts > _ATTEMPTS:
                raise ServiceError(f"the server stopped {_ATTEMPTS} times while it worked on this")
            store = await self._runner.kind.work(self)
            await self._patiently(self._store, store)
        except ServiceError as error:
            detail = error.detail
        except Exception as error:  # the client learns no details
            _log.error("job failed", job=str(self.job.id), exc_info=error)
            detail = "internal error; see the server's log"
        else:
            return
        await self._patiently(self._fail, detail)
        await self._runner.kind.clear(self.job)

    async def _store(self, store: Store) -> None:
        async with self._database.write() as session:
            await store(session)

    async def _fail(self, detail: str) -> None:
        async with self._database.write() as session:
            await jobs.fail(session, job=self.job, worker=self.worker, error=detail[:500])

    async def _chunk(self, number: int) -> bytes | None:
        async with self._database.read() as session:
            return await jobs.media_chunk(session, job_id=self.job.id, number=number)

    async def _patiently(self, attempt: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
        while True:
            try:
                return await self._runner.uncancelled.run(attempt(*arguments))
            except StorageUnavailable:
                await asyncio.sleep(_BEAT_S)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
