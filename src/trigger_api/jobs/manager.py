"""Jobs behind one object: submitted, watched, cancelled; run by this process and by others on the same database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

from trigger_api.accounts.caller import Caller
from trigger_api.errors import Conflict, NotFound, ServiceError, TooLarge
from trigger_api.history.manager import History
from trigger_api.history.media import clean_name, find_type
from trigger_api.jobs.runner import JobRunner, Kind
from trigger_api.jobs.search import Search
from trigger_api.schemas import JobStatus, TrainingStatus, TriggerAnswer
from trigger_api.settings import Settings
from trigger_api.storage import jobs
from trigger_api.storage.database import Database
from trigger_api.storage.tables import MEDIA_CHUNK, Job
from trigger_api.tasks.trigger.task import Trigger, TriggerResult

S = TypeVar("S", JobStatus, TrainingStatus)
_MOST = 100  # unfinished jobs of an account
_LOOK_S = 0.5  # between looks at a job that is being watched


class Upload(Protocol):
    """A file that is being received."""

    async def read(self, size: int, /) -> bytes:
        """The next bytes of it."""


class JobList(Generic[S]):
    """The jobs of one kind, of all callers.

    Args:
        database: holds them.
        history: knows whose they are.
        kind: what is done with them.
        settings: how much of it an account may hold.
    """

    task: ClassVar[str]

    def __init__(self, database: Database, history: History, kind: Kind, settings: Settings) -> None:
        self._database = database
        self._owners = history.owners
        self._quota = settings.quota_mib * 2**20 if settings.quota_mib else None
        self._closing = asyncio.Event()
        self.watchers = 0
        self._runner = JobRunner(database, kind)

    async def list(self, caller: Caller, *, before: UUID | None, limit: int) -> list[S]:
        """The caller's jobs, the newest first; those before one of them, if given."""
        owner_id = await self._owners.find(caller)
        async with self._database.read() as session:
            rows = await jobs.page(session, owner_id=owner_id, task=self.task, before=before, limit=limit)
        return [self._status(job) for job in rows]

    async def get(self, caller: Caller, job_id: UUID) -> S:
        """One of the caller's jobs.

        Raises:
            NotFound: the caller has no such job.
        """
        owner_id = await self._owners.find(caller)
        async with self._database.read() as session:
            job = await jobs.get(session, owner_id=owner_id, task=self.task, job_id=job_id)
        if job is None:
            raise NotFound("you have no such job")
        return self._status(job)

    async def watch(self, caller: Caller, job_id: UUID) -> AsyncIterator[S]:
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
        """Cancel a job if it has not finished, and forget it. A result stays where it is.

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

    def _status(self, job: Job) -> S:
        raise NotImplementedError

    async def _remove(self, owner_id: UUID, job_id: UUID) -> bool:
        async with self._database.write() as session:
            return await jobs.remove(session, owner_id=owner_id, task=self.task, job_id=job_id)


class Jobs(JobList[JobStatus]):
    """Long recordings that are searched for trigger words.

    Args:
        database: holds them, with their recordings.
        history: where their results go.
        task: detects trigger words.
        settings: how large and how many.
        answer: makes the answer from the task's results.
    """

    task = Trigger.name

    def __init__(
        self,
        database: Database,
        history: History,
        task: Trigger,
        settings: Settings,
        answer: Callable[[Sequence[TriggerResult]], TriggerAnswer],
    ) -> None:
        super().__init__(database, history, Search(task, settings, answer), settings)
        self._task = task
        self._most_bytes = settings.max_job_bytes

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
            if await jobs.count_unfinished(session, owner_id=owner_id, task=self.task) >= _MOST:
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

    async def _receive(self, job: Job, chunk: bytes, upload: Upload) -> None:
        number = 0
        while chunk:
            async with self._database.write() as session:
                await jobs.add_chunk(session, job_id=job.id, number=number, content=chunk)
            number, chunk = number + 1, await upload.read(MEDIA_CHUNK)
        async with self._database.write() as session:
            await jobs.enqueue(session, job_id=job.id)

    def _status(self, job: Job) -> JobStatus:
        return JobStatus.model_validate(job)
