"""Works on jobs, one at a time. A lease in the database keeps two servers from working on one."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import structlog

from trigger_api.errors import ServiceError, StorageUnavailable
from trigger_api.history.record import Record, answer_json, labels_of
from trigger_api.inference import PreprocessPool
from trigger_api.media.audio import AudioLimits
from trigger_api.media.long_audio import LongAudio, Part
from trigger_api.schemas import TriggerAnswer
from trigger_api.settings import Settings
from trigger_api.storage import jobs
from trigger_api.storage.database import Database
from trigger_api.storage.tables import Job, now
from trigger_api.storage.uncancelled import Uncancelled
from trigger_api.tasks.trigger.task import Trigger, TriggerResult

T = TypeVar("T")
PART_S, LEAD_S, TAIL_S = 120, 8, 2
"""Seconds of the parts that a recording is scored in, and what each sees of its neighbours. All are multiples of two
frames of every front end, and the lead is longer than any receptive field: the seams do not show."""
_LOOK_S = 2.0  # between looks for work that another server has accepted
_BEAT_S, _LEASE = 1.0, timedelta(seconds=30)
_ATTEMPTS = 3
_RECEIVED, _REMEMBERED = timedelta(hours=1), timedelta(days=30)
_SWEEP_S = 600.0
_PATH = "/v1/jobs"
_log = structlog.get_logger(__name__)


class JobRunner:
    """The work of one process.

    Args:
        database: holds the jobs.
        task: detects trigger words.
        settings: how long a recording may be.
        answer: makes the answer from the task's results.
    """

    def __init__(
        self,
        database: Database,
        task: Trigger,
        settings: Settings,
        answer: Callable[[Sequence[TriggerResult]], TriggerAnswer],
    ) -> None:
        self.worker = uuid.uuid4().hex
        self._database = database
        self._task = task
        self._limits = AudioLimits(settings.max_job_seconds, settings.max_job_bytes)
        self._answer = answer
        self._pool = PreprocessPool(1, 4)
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
        self._pool.close()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                job = await self.uncancelled.run(self._claim())
            except ServiceError:  # the database is away
                job = None
            if job is not None:
                await _Work(job, self).run()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()

    async def _claim(self) -> Job | None:
        async with self._database.write() as session:
            if time.monotonic() - self._swept > _SWEEP_S or not self._swept:
                self._swept = time.monotonic()
                await jobs.remove_stale(session, received_before=now() - _RECEIVED, finished_before=now() - _REMEMBERED)
            return await jobs.claim(session, worker=self.worker, lost_before=now() - _LEASE)


class _Work:
    """The work on one job."""

    def __init__(self, job: Job, runner: JobRunner) -> None:
        self._job = job
        self._runner = runner
        self._database = runner._database
        self._progress = 0.0

    async def run(self) -> None:
        """Finish the job, unless it is cancelled, taken by another server, or this one stops."""
        work, lease = asyncio.create_task(self._finish()), asyncio.create_task(self._keep_lease())
        try:
            await asyncio.wait({work, lease}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _cancel(work, lease)
            with suppress(ServiceError):
                await self._runner.uncancelled.run(self._give_back())
            raise
        await _cancel(work, lease)

    async def _keep_lease(self) -> None:
        """Say now and then how far the work is. It ends when the job is no longer ours."""
        ours = True
        while ours:
            await asyncio.sleep(_BEAT_S)
            with suppress(ServiceError):
                ours = await self._runner.uncancelled.run(self._beat())

    async def _beat(self) -> bool:
        async with self._database.write() as session:
            return await jobs.beat(session, job_id=self._job.id, worker=self._runner.worker, progress=self._progress)

    async def _give_back(self) -> None:
        async with self._database.write() as session:
            await jobs.give_back(session, job_id=self._job.id, worker=self._runner.worker)

    async def _finish(self) -> None:
        started = time.perf_counter()
        try:
            if self._job.attempts > _ATTEMPTS:
                raise ServiceError(f"the server stopped {_ATTEMPTS} times while it worked on this")
            answer = await self._predict()
            record = self._record(answer, (time.perf_counter() - started) * 1000)
            await self._patiently(self._store, record)
        except ServiceError as error:
            detail = error.detail
        except Exception as error:  # the client learns no details
            _log.error("job failed", job=str(self._job.id), exc_info=error)
            detail = "internal error; see the server's log"
        else:
            return
        await self._patiently(self._fail, detail)

    async def _predict(self) -> TriggerAnswer:
        with tempfile.TemporaryDirectory(prefix="trigger-api-") as folder:
            path = Path(folder) / "recording"
            await self._copy(path)
            audio = await self._in_thread(LongAudio, path, self._runner._limits)
            results = await self._runner._task.predict_parts(self._parts(audio), **self._job.parameters)
        return self._runner._answer(results)

    async def _copy(self, path: Path) -> None:
        """Copy the recording from the database into a file, chunk by chunk."""
        await self._in_thread(_append, path, b"")
        for number in count():
            chunk = await self._patiently(self._chunk, number)
            if chunk is None:
                return
            await self._in_thread(_append, path, chunk)

    async def _chunk(self, number: int) -> bytes | None:
        async with self._database.read() as session:
            return await jobs.media_chunk(session, job_id=self._job.id, number=number)

    async def _parts(self, audio: LongAudio) -> AsyncIterator[Part]:
        parts, total = audio.parts(PART_S, LEAD_S, TAIL_S), audio.count(PART_S)
        for number in range(total):
            self._progress = number / total
            part = await self._in_thread(next, parts, None)
            if part is None:
                return
            yield part

    def _record(self, answer: TriggerAnswer, duration_ms: float) -> Record:
        return Record(
            owner_id=self._job.owner_id, task=self._job.task, path=_PATH, model=answer.model, version=answer.version,
            duration_ms=round(duration_ms, 3), answer=answer_json(answer), labels=labels_of(answer),
        )  # fmt: skip

    async def _store(self, record: Record) -> None:
        job = self._job
        media = {"file_name": job.file_name, "media_type": job.media_type, "media_bytes": job.media_bytes}
        async with self._database.write() as session:
            if not await jobs.finish(
                session, job=job, worker=self._runner.worker, row={**record.row(), **media},
                labels=record.label_rows(),
            ):  # fmt: skip
                await session.rollback()

    async def _fail(self, detail: str) -> None:
        async with self._database.write() as session:
            await jobs.fail(session, job=self._job, worker=self._runner.worker, error=detail[:500])

    async def _patiently(self, attempt: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
        while True:
            try:
                return await self._runner.uncancelled.run(attempt(*arguments))
            except StorageUnavailable:
                await asyncio.sleep(_BEAT_S)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await self._runner._pool.run(work, *arguments)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _append(path: Path, chunk: bytes) -> None:
    with path.open("ab") as file:
        file.write(chunk)
