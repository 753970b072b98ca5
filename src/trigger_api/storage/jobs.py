"""Jobs: recordings that are too long for one request, and which server works on each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, and_, delete, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.storage import predictions, users
from trigger_api.storage.predictions import Row
from trigger_api.storage.tables import Job, JobMedia, PredictionMedia, now

RECEIVING, QUEUED, RUNNING, DONE, FAILED = "receiving", "queued", "running", "done", "failed"
UNFINISHED = (RECEIVING, QUEUED, RUNNING)


async def add(session: AsyncSession, *, owner_id: UUID, quota: int | None, **columns: Any) -> Job:
    """A new job, whose recording is still to come.

    Raises:
        QuotaExceeded: the account may not hold so many bytes.
    """
    await users.reserve_bytes(session, user_id=owner_id, size=columns["media_bytes"], quota=quota)
    job = Job(owner_id=owner_id, status=RECEIVING, **columns)
    session.add(job)
    await session.flush()
    return job


async def add_chunk(session: AsyncSession, *, job_id: UUID, number: int, content: bytes) -> None:
    """The next chunk of a job's recording."""
    await session.execute(insert(JobMedia), [{"job_id": job_id, "number": number, "content": content}])


async def media_chunk(session: AsyncSession, *, job_id: UUID, number: int) -> bytes | None:
    """A chunk of a job's recording; None if there are fewer."""
    query = select(JobMedia.content).where(JobMedia.job_id == job_id, JobMedia.number == number)
    return await session.scalar(query)


async def enqueue(session: AsyncSession, *, job_id: UUID) -> None:
    """Let a job begin: its recording is complete."""
    await session.execute(update(Job).where(Job.id == job_id).values(status=QUEUED, updated_at=now()))


async def get(session: AsyncSession, *, owner_id: UUID, task: str, job_id: UUID) -> Job | None:
    """A job of an account."""
    query = select(Job).where(Job.id == job_id, Job.owner_id == owner_id, Job.task == task)
    return (await session.scalars(query)).one_or_none()


async def page(session: AsyncSession, *, owner_id: UUID, task: str, before: UUID | None, limit: int) -> list[Job]:
    """Jobs of an account, the newest first; those before one of them, if given."""
    query = select(Job).where(Job.owner_id == owner_id, Job.task == task).order_by(Job.id.desc()).limit(limit)
    return list(await session.scalars(query.where(Job.id < before) if before else query))


async def count_unfinished(session: AsyncSession, *, owner_id: UUID, task: str) -> int:
    """The number of an account's jobs that are not finished."""
    mine = (Job.owner_id == owner_id, Job.task == task, Job.status.in_(UNFINISHED))
    return int(await session.scalar(select(func.count()).select_from(Job).where(*mine)) or 0)


async def remove(session: AsyncSession, *, owner_id: UUID, task: str, job_id: UUID) -> bool:
    """Delete a job of an account, with its recordings; False if there is none. Its result stays in the history."""
    return await _remove(session, Job.id == job_id, Job.owner_id == owner_id, Job.task == task) == 1


async def remove_stale(session: AsyncSession, *, received_before: datetime, finished_before: datetime) -> int:
    """Delete jobs whose recordings never arrived, and those that finished long ago; returns how many."""
    lost = and_(Job.status == RECEIVING, Job.updated_at < received_before)
    old = and_(Job.status.in_((DONE, FAILED)), Job.updated_at < finished_before)
    return await _remove(session, or_(lost, old))


async def claim(session: AsyncSession, *, task: str, worker: str, lost_before: datetime) -> Job | None:
    """Take the next job: the oldest that waits, or whose server has not been heard of since ``lost_before``."""
    lost = and_(Job.status == RUNNING, Job.updated_at < lost_before)
    query = select(Job).where(Job.task == task, or_(Job.status == QUEUED, lost)).order_by(Job.id).limit(1)
    job = (await session.scalars(query.with_for_update(skip_locked=True))).one_or_none()
    return _taken(job, worker) if job else None


async def claim_alone(session: AsyncSession, *, task: str, worker: str, lost_before: datetime) -> Job | None:
    """As ``claim``, for jobs of which one runs at a time: None while any server works on the oldest."""
    query = select(Job).where(Job.task == task, Job.status.in_((QUEUED, RUNNING))).order_by(Job.id).limit(1)
    job = (await session.scalars(query.with_for_update())).one_or_none()
    if job is None or (job.status == RUNNING and job.updated_at >= lost_before):
        return None
    return _taken(job, worker)


def _taken(job: Job, worker: str) -> Job:
    job.status, job.worker, job.updated_at, job.attempts = RUNNING, worker, now(), job.attempts + 1
    return job


async def beat(session: AsyncSession, *, job_id: UUID, worker: str, progress: float, parameters: Row) -> bool:
    """Say that a server still works on a job, and how far it is; False if the job is no longer its own."""
    return await _update(session, job_id, worker, progress=progress, parameters=parameters)


async def give_back(session: AsyncSession, *, job_id: UUID, worker: str) -> bool:
    """Let another server take a job: this one stops."""
    return await _update(session, job_id, worker, status=QUEUED, worker=None, attempts=Job.attempts - 1)


async def finish(session: AsyncSession, *, job: Job, worker: str, row: Row, labels: Sequence[Row]) -> bool:
    """Put a job's result into the history, and its recording with it; False if the job is no longer this server's."""
    await predictions.add_all(session, rows=[row], labels=labels, media=[])
    if not await _update(session, job.id, worker, status=DONE, progress=1.0, prediction_id=row["id"]):
        return False
    chunks = select(literal(row["id"], type_=PredictionMedia.prediction_id.type), JobMedia.number, JobMedia.content)
    columns = ["prediction_id", "number", "content"]
    await session.execute(insert(PredictionMedia).from_select(columns, chunks.where(JobMedia.job_id == job.id)))
    await session.execute(delete(JobMedia).where(JobMedia.job_id == job.id))
    await users.reserve_bytes(session, user_id=job.owner_id, size=row["answer_bytes"], quota=None)
    return True


async def complete(session: AsyncSession, *, job: Job, worker: str, parameters: Row) -> None:
    """End a job whose result lies elsewhere, and forget its recordings."""
    if await _update(session, job.id, worker, status=DONE, progress=1.0, parameters=parameters):
        await _forget_media(session, job)


async def fail(session: AsyncSession, *, job: Job, worker: str, error: str) -> None:
    """End a job without a result, and forget its recording."""
    if await _update(session, job.id, worker, status=FAILED, error=error):
        await _forget_media(session, job)


async def _forget_media(session: AsyncSession, job: Job) -> None:
    await session.execute(delete(JobMedia).where(JobMedia.job_id == job.id))
    await users.release_bytes(session, user_id=job.owner_id, size=job.media_bytes)


async def _update(session: AsyncSession, job_id: UUID, by: str, **values: Any) -> bool:
    query = update(Job).where(Job.id == job_id, Job.worker == by, Job.status == RUNNING)
    result = await session.execute(query.values(updated_at=now(), **values), execution_options=_UNSYNCED)
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


async def _remove(session: AsyncSession, *conditions: Any) -> int:
    query = delete(Job).where(*conditions).returning(Job.owner_id, Job.status, Job.media_bytes)
    removed = list(await session.execute(query, execution_options=_UNSYNCED))
    for owner_id, status, size in sorted(removed):
        if status in UNFINISHED:  # else the recording is the history's, or gone
            await users.release_bytes(session, user_id=owner_id, size=size)
    return len(removed)


_UNSYNCED = {"synchronize_session": False}
