"""How far a job is, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import Request
from fastapi.sse import ServerSentEvent

from trigger_api.accounts.caller import Caller
from trigger_api.errors import NotFound, Overloaded
from trigger_api.server.revocation import until_revoked

if TYPE_CHECKING:
    from trigger_api.jobs.manager import JobList

_RETRY_MS = 2_000


async def check_watchable(jobs: JobList[Any], caller: Caller, job_id: UUID, most: int) -> None:
    """Tell errors before the events begin.

    Raises:
        Overloaded: as many subscribers as there may be watch such jobs.
        NotFound: the caller has no such job.
    """
    if jobs.watchers >= most:
        raise Overloaded("there are too many subscribers to the events", retry_after=10)
    await jobs.get(caller, job_id)


async def progress_events(
    request: Request, jobs: JobList[Any], caller: Caller, job_id: UUID
) -> AsyncIterator[ServerSentEvent]:
    """`progress` while it changes, and at the end `done`, `failed` or `deleted`."""
    yield ServerSentEvent(comment="watching", retry=_RETRY_MS)
    try:
        async for status in until_revoked(request, caller, jobs.watch(caller, job_id)):
            name = status.status if status.status in ("done", "failed") else "progress"
            yield ServerSentEvent(event=name, data=status)
    except NotFound:
        yield ServerSentEvent(event="deleted", data={"id": str(job_id)})
