"""Jobs behind one object: submitted, watched, cancelled; run by this process and by others on the same database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

from trigger_api.accounts.caller import Caller
from trigger_api.errors import Conflict, NotFound, ServiceError, TooLarge
from trigger_api.history.manager import History
from trigger_api.history.media import clean_name, find_type
from trigger_api.jobs.runner import JobRunner
from trigger_api.schemas import JobStatus, TriggerAnswer
from trigger_api.settings import Settings
from trigger_api.storage import jobs
from trigger_api.storage.database import Database
from trigger_api.storage.tables import MEDIA_CHUNK, Job
from trigger_api.tasks.trigger.task import Trigger, TriggerResult

_MOST = 100  # unfinished jobs of an account
_LOOK_S = 0.5  # between looks at a job that is being watched


class Upload(Protocol):
    """A file that is being received."""

    async def read(self, size: int, /) -> bytes:
        """The next bytes of it."""


class Jobs:
    """The jobs of all callers.

    Args:
        database: holds them, with their recordings.
        history: where their results go.
        task: detects trigger words.
        settings: how large and how many.
        answer: makes the answer from the task's results.
    """

    def __init__(
        self,
        database: Database,
        history: History,
        task: Trigger,
        settings: Settings,
        answer: Callable[[Sequence[TriggerResult]], TriggerAnswer],
    ) -> None:
        self._database = database
        self._owners = history.owners
        self._task = task
        self._quota = settings.quota_mib * 2**20 if settings.quota_mib else None
        self._most_bytes = settings.max_job_bytes
        self._closing = asyncio.Event()
        self.watchers = 0
        self._runner = JobRunner(database, task, settings, answer)

    async def submit(
        self, caller: Caller, upload: Upload, *, size: int, name: str | None, parameters: dict[str, Any]
    ) -> JobStatus:
        """Receive a recording, and let a server work on it.

        Raises:
            Conflict: the caller has as many unfinished jobs as it may have.
            TooLarge: the recording has too many bytes.
            InsufficientStorage: the caller's quota, or the disk, is full.
            StorageUnavailable: the database cannot be reached.
            ServiceError: the parameters are those of no prediction.
        """
        if size > self._most_bytes:
            raise TooLarge(f"the recording has more than {self._most_bytes} bytes")
        self._task.check(**parameters)
        owner_id, first = await self._owners.find(caller), await upload.read(MEDIA_CHUNK)
        async with self._database.write() as session:
            if await jobs.count_unfinished(session, owner_id=owner_id) >= _MOST:
                raise Conflict(f"you have {_MOST} unfinished jobs, the maximum: wait for one, or delete it")
            job = await jobs.add(
                session, owner_id=owner_id, quota=self._quota, task=Trigger.name, parameters=parameters,
                file_name=clean_name(name), media_type=find_type(first), media_bytes=size,
            )  # fmt: skip
        try:
            await self._receive(job, first, upload)
        except BaseException:
            with suppress(ServiceError):
                await asyncio.shield(self._remove(owner_id, job.id))
            raise
        self._runner.wake()
        return await self.get(caller, job.id)

    async def list(self, caller: Caller, *, before: UUID | None, limit: int) -> list[JobStatus]:
        """The caller's jobs, the newest first; those before one of them, if given."""
        owner_id = await self._owners.find(caller)
        async with self._database.read() as session:
            return [_status(job) for job in await jobs.page(session, owner_id=owner_id, before=before, limit=limit)]

    async def get(self, caller: Caller, job_id: UUID) -> JobStatus:
        """One of the caller's jobs.

        Raises:
            NotFound: the caller has no such job.
        """
        owner_id = await self._owners.find(caller)
        async with self._database.read() as session:
            job = await jobs.get(session, owner_id=owner_id, job_id=job_id)
        if job is None:
            raise NotFound("you have no such job")
        return _status(job)

    async def watch(self, caller: Caller, job_id: UUID) -> AsyncIterator[JobStatus]:
        """A job now, and each time that it has changed, until it has finished, is deleted, or the server stops."""
        self.watchers += 1
        last = None
        try:
            while not self._closing.is_set():
                status = await self.get(caller, job_id)
                if status != last:
                    yield status
                if status.status in (jobs.DONE, jobs.FAILED):
                    return
                last = status
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._closing.wait()
        finally:
            self.watchers -= 1

    async def delete(self, caller: Caller, job_id: UUID) -> None:
        """Cancel a job if it has not finished, and forget it. A result stays in the history.

        Raises:
            NotFound: the caller has no such job.
        """
        if not await self._remove(await self._owners.find(caller), job_id):
            raise NotFound("you have no such job")

    def begin_shutdown(self) -> None:
        """End every subscription: the server would wait for them before it stops."""
        self._closing.set()

    async def close(self) -> None:
        """Stop, and let another server go on with what was begun."""
        self.begin_shutdown()
        await self._runner.close()

    async def _receive(self, job: Job, chunk: bytes, upload: Upload) -> None:
        number = 0
        while chunk:
            async with self._database.write() as session:
                await jobs.add_chunk(session, job_id=job.id, number=number, content=chunk)
            number, chunk = number + 1, await upload.read(MEDIA_CHUNK)
        async with self._database.write() as session:
            await jobs.enqueue(session, job_id=job.id)

    async def _remove(self, owner_id: UUID, job_id: UUID) -> bool:
        async with self._database.write() as session:
            return await jobs.remove(session, owner_id=owner_id, job_id=job_id)


def _status(job: Job) -> JobStatus:
    return JobStatus.model_validate(job)
