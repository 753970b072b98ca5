"""The history: past predictions of the caller, with what they were made of."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import AwareDatetime, StringConstraints

from trigger_api.accounts.caller import Caller
from trigger_api.errors import Unprocessable
from trigger_api.routers import media
from trigger_api.routers.deps import Served
from trigger_api.schemas import DeletedEntries, HistoryEntry, HistoryPage
from trigger_api.server.auth import authenticate
from trigger_api.storage.predictions import Filters

router = APIRouter(prefix="/v1/history", tags=["history"])

_Authenticated = Annotated[Caller, Depends(authenticate)]
_NO_ZERO = r"^[^\x00]*$"  # which PostgreSQL cannot even look for
_Name = Annotated[str, StringConstraints(max_length=64, pattern=_NO_ZERO)]
_Label = Annotated[str, StringConstraints(max_length=128, pattern=_NO_ZERO)]
FileName = Annotated[str, StringConstraints(max_length=255, pattern=_NO_ZERO)]
_Before = Annotated[UUID | None, Query(alias="cursor", description="`next` of the page before")]


async def _filters(
    task: Annotated[_Name | None, Query(description="the name of a task")] = None,
    label: Annotated[_Label | None, Query(description="a word, number, emotion, class or type that was found")] = None,
    file_name: Annotated[FileName | None, Query(description="the name of the file, in full")] = None,
    since: Annotated[AwareDatetime | None, Query(description="from then on")] = None,
    until: Annotated[AwareDatetime | None, Query(description="before then")] = None,
) -> Filters:
    return Filters(task, label, file_name, since, until)


_Filtered = Annotated[Filters, Depends(_filters)]


@router.get("")
async def list_history(
    service: Served,
    caller: _Authenticated,
    filters: _Filtered,
    before: _Before = None,
    limit: Annotated[int, Query(ge=1, le=100, description="predictions on the page")] = 50,
) -> HistoryPage:
    """A page of the history, the newest first."""
    items = await service.history.page(caller, filters, before=before, limit=limit + 1)
    more = len(items) > limit
    return HistoryPage(items=items[:limit], next=str(items[limit - 1].id) if more else None)


@router.delete("")
async def delete_history(
    service: Served,
    caller: _Authenticated,
    filters: _Filtered,
    everything: Annotated[bool, Query(description="delete without any filter")] = False,
) -> DeletedEntries:
    """Delete the predictions that match the filters. This cannot be undone."""
    if filters == Filters() and not everything:
        raise Unprocessable("give a filter, or everything=true to delete your whole history")
    return DeletedEntries(deleted=await service.history.delete_all(caller, filters))


@router.get("/export", response_class=StreamingResponse)
async def export_history(
    service: Served,
    caller: _Authenticated,
    filters: _Filtered,
    media: Annotated[bool, Query(description="add what each was made of, in base64")] = False,
) -> StreamingResponse:
    """The predictions that match the filters, with their answers, as JSON lines."""
    _ = await service.history.owners.find(caller)  # errors are told before the answer begins
    lines = service.history.export(caller, filters, media=media)
    headers = {"Content-Disposition": 'attachment; filename="history.jsonl"'}
    return StreamingResponse(lines, media_type="application/jsonl", headers=headers)


@router.get("/{prediction_id}")
async def get_history(service: Served, caller: _Authenticated, prediction_id: UUID) -> HistoryEntry:
    """A prediction with its answer."""
    return await service.history.get(caller, prediction_id)


@router.delete("/{prediction_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_prediction(service: Served, caller: _Authenticated, prediction_id: UUID) -> None:
    """Delete a prediction with what it was made of."""
    await service.history.delete(caller, prediction_id)


@router.get("/{prediction_id}/media", response_class=StreamingResponse)
async def get_media(request: Request, service: Served, caller: _Authenticated, prediction_id: UUID) -> Response:
    """What a prediction was made of: the recording, picture or text. `Range` gives a part of it."""
    return media.response(request, await service.history.media(caller, prediction_id))
