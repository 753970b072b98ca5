"""Recordings that are too long for one request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from trigger_api.accounts.caller import Caller
from trigger_api.routers.deps import ModelName, ModelVersion, Served, StrictForm
from trigger_api.routers.progress import check_watchable, progress_events
from trigger_api.routers.trigger import WORDS, Recording, Word
from trigger_api.schemas import JobPage, JobStatus, Sensitivity
from trigger_api.server.auth import authenticate

PATH = "/v1/jobs"
FORM_BYTES = 65_536  # of a form besides its file
router = APIRouter(prefix=PATH, tags=["jobs"])

_Authenticated = Annotated[Caller, Depends(authenticate)]


@router.post("", status_code=HTTPStatus.ACCEPTED, dependencies=[StrictForm])
async def submit_job(
    response: Response,
    service: Served,
    caller: _Authenticated,
    audio: Recording,
    model: ModelName = None,
    version: ModelVersion = None,
    sensitivity: Annotated[Sensitivity | None, Form(description="a threshold measured for the model")] = None,
    threshold: Annotated[float | None, Form(ge=0, le=1, description="score from which a word is detected")] = None,
    word: Annotated[list[Word] | None, Form(max_length=64, description=WORDS)] = None,
) -> JobStatus:
    """Search a long recording for trigger words in the background. The result goes into the history."""
    parameters = {
        "model": model, "version": version, "sensitivity": sensitivity, "threshold": threshold,
        "words": [each for each in word or () if each],
    }  # fmt: skip
    job = await service.jobs.submit(caller, audio, size=audio.size or 0, name=audio.filename, parameters=parameters)
    response.headers["Location"] = f"{PATH}/{job.id}"
    return job


@router.get("")
async def list_jobs(
    service: Served,
    caller: _Authenticated,
    before: Annotated[UUID | None, Query(alias="cursor", description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="jobs on the page")] = 50,
) -> JobPage:
    """The caller's jobs, the newest first."""
    items = await service.jobs.list(caller, before=before, limit=limit + 1)
    return JobPage(items=items[:limit], next=str(items[limit - 1].id) if len(items) > limit else None)


@router.get("/{job_id}")
async def get_job(service: Served, caller: _Authenticated, job_id: UUID) -> JobStatus:
    """How far a job is."""
    return await service.jobs.get(caller, job_id)


@router.delete("/{job_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_job(service: Served, caller: _Authenticated, job_id: UUID) -> None:
    """Cancel a job if it has not finished, and forget it. A result stays in the history."""
    await service.jobs.delete(caller, job_id)


async def _watchable(service: Served, caller: _Authenticated, job_id: UUID) -> None:
    """Tell errors before the events begin."""
    await check_watchable(service.jobs, caller, job_id, service.settings.max_subscribers)


@router.get("/{job_id}/events", response_class=EventSourceResponse, dependencies=[Depends(_watchable)])
async def job_events(
    request: Request, service: Served, caller: _Authenticated, job_id: UUID
) -> AsyncIterator[ServerSentEvent]:
    """How far a job is, as server-sent events: `progress`, and at the end `done`, `failed` or `deleted`."""
    async for event in progress_events(request, service.jobs, caller, job_id):
        yield event
