"""Trigger words that administrators have trained."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, Query, Request, Response, UploadFile
from fastapi.sse import EventSourceResponse, ServerSentEvent

from trigger_api.accounts.caller import Caller
from trigger_api.routers.deps import Served, StrictForm
from trigger_api.routers.progress import check_watchable, progress_events
from trigger_api.schemas import TrainingPage, TrainingStatus
from trigger_api.server.auth import Administrator, authenticate

PATH = "/v1/training"
router = APIRouter(prefix=PATH, tags=["training"], dependencies=[Administrator])

_Authenticated = Annotated[Caller, Depends(authenticate)]
_WORD = r"^[^\W_][\w ,.!?'’-]*$"


@router.post("", status_code=HTTPStatus.ACCEPTED, dependencies=[StrictForm])
async def train_word(
    response: Response,
    service: Served,
    caller: _Authenticated,
    word: Annotated[str, Form(min_length=3, max_length=40, pattern=_WORD, description="the word or phrase")],
    recording: Annotated[
        list[UploadFile] | None,
        File(max_length=1_000, description="somebody saying it, 10 s at most; repeat it: ten already help a lot"),
    ] = None,
) -> TrainingStatus:
    """Train a trigger word in the background; it is served once that is done. For administrators."""
    recordings = [await each.read() for each in recording or ()]
    status = await service.trainings.submit(caller, " ".join(word.lower().split()), recordings)
    response.headers["Location"] = f"{PATH}/{status.id}"
    return status


@router.get("")
async def list_training(
    service: Served,
    caller: _Authenticated,
    before: Annotated[UUID | None, Query(alias="cursor", description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="words on the page")] = 50,
) -> TrainingPage:
    """The words that the caller has had trained, the newest first, and whether more can be trained."""
    items = await service.trainings.list(caller, before=before, limit=limit + 1)
    following = str(items[limit - 1].id) if len(items) > limit else None
    return TrainingPage(**service.trainings.readiness(), items=items[:limit], next=following)


@router.get("/{training_id}")
async def get_training(service: Served, caller: _Authenticated, training_id: UUID) -> TrainingStatus:
    """How far the training of a word is."""
    return await service.trainings.get(caller, training_id)


@router.delete("/{training_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_training(service: Served, caller: _Authenticated, training_id: UUID) -> None:
    """Cancel a training if it has not finished, and forget it. A word that was trained goes on being served."""
    await service.trainings.delete(caller, training_id)


async def _watchable(service: Served, caller: _Authenticated, training_id: UUID) -> None:
    """Tell errors before the events begin."""
    await check_watchable(service.trainings, caller, training_id, service.settings.max_subscribers)


@router.get("/{training_id}/events", response_class=EventSourceResponse, dependencies=[Depends(_watchable)])
async def training_events(
    request: Request, service: Served, caller: _Authenticated, training_id: UUID
) -> AsyncIterator[ServerSentEvent]:
    """How far it is, as server-sent events: `progress`, and at the end `done`, `failed` or `deleted`."""
    async for event in progress_events(request, service.trainings, caller, training_id):
        yield event
