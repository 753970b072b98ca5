"""Jobs that search a long recording for trigger words."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.history.record import Record, answer_json, labels_of
from trigger_api.jobs.runner import Lease, Store
from trigger_api.media.audio import AudioLimits
from trigger_api.media.long_audio import LongAudio, Part
from trigger_api.schemas import TriggerAnswer
from trigger_api.settings import Settings
from trigger_api.storage import jobs
from trigger_api.storage.tables import Job
from trigger_api.tasks.trigger.task import Trigger, TriggerResult

PART_S, LEAD_S, TAIL_S = 120, 8, 2
"""Seconds of the parts that a recording is scored in, and what each sees of its neighbours. All are multiples of two
frames of every front end, and the lead is longer than any receptive field: the seams do not show."""
_PATH = "/v1/jobs"


class Search:
    """Searches recordings, part by part.

    Args:
        task: detects trigger words.
        settings: how long a recording may be.
        answer: makes the answer from the task's results.
    """

    def __init__(
        self, task: Trigger, settings: Settings, answer: Callable[[Sequence[TriggerResult]], TriggerAnswer]
    ) -> None:
        self._task = task
        self._limits = AudioLimits(settings.max_job_seconds, settings.max_job_bytes)
        self._answer = answer

    async def claim(self, session: AsyncSession, *, worker: str, lost_before: datetime) -> Job | None:
        """Take the next recording."""
        return await jobs.claim(session, task=Trigger.name, worker=worker, lost_before=lost_before)

    async def work(self, lease: Lease) -> Store:
        """Search a recording. The result goes into the history, and the recording with it.

        Raises:
            ServiceError: it cannot be read, or searched.
        """
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="trigger-api-") as folder:
            path = Path(folder) / "recording"
            await _copy(lease, path)
            audio = await lease.in_thread(LongAudio, path, self._limits)
            results = await self._task.predict_parts(_parts(lease, audio), **lease.job.parameters)
        record = _record(lease.job, self._answer(results), (time.perf_counter() - started) * 1000)
        job = lease.job
        media = {"file_name": job.file_name, "media_type": job.media_type, "media_bytes": job.media_bytes}
        row: dict[str, Any] = {**record.row(), **media}

        async def store(session: AsyncSession) -> None:
            if not await jobs.finish(session, job=job, worker=lease.worker, row=row, labels=record.label_rows()):
                await session.rollback()

        return store

    async def clear(self, job: Job) -> None:
        """Nothing is left."""


async def _copy(lease: Lease, path: Path) -> None:
    """Copy the recording from the database into a file, chunk by chunk."""
    await lease.in_thread(_append, path, b"")
    for number in count():
        chunk = await lease.media_chunk(number)
        if chunk is None:
            return
        await lease.in_thread(_append, path, chunk)


async def _parts(lease: Lease, audio: LongAudio) -> AsyncIterator[Part]:
    parts, total = audio.parts(PART_S, LEAD_S, TAIL_S), audio.count(PART_S)
    for number in range(total):
        lease.progress = number / total
        part = await lease.in_thread(next, parts, None)
        if part is None:
            return
        yield part


def _record(job: Job, answer: TriggerAnswer, duration_ms: float) -> Record:
    return Record(
        owner_id=job.owner_id, task=job.task, path=_PATH, model=answer.model, version=answer.version,
        duration_ms=round(duration_ms, 3), answer=answer_json(answer), labels=labels_of(answer),
    )  # fmt: skip


def _append(path: Path, chunk: bytes) -> None:
    with path.open("ab") as file:
        file.write(chunk)
