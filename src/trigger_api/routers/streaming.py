"""Live audio from rooms, and the detections in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, WebSocket
from fastapi.sse import EventSourceResponse, ServerSentEvent

from trigger_api.accounts.caller import Caller
from trigger_api.errors import Overloaded
from trigger_api.routers.deps import Served
from trigger_api.schemas import RoomState
from trigger_api.server.auth import authenticate
from trigger_api.server.revocation import revoked, until_revoked
from trigger_api.service import Service
from trigger_api.streaming.websocket import StreamWebSocket

router = APIRouter(prefix="/v1", tags=["rooms"])

_RETRY_MS = 2_000


@router.websocket("/trigger/stream")
async def stream(websocket: WebSocket, caller: Annotated[Caller, Depends(authenticate)]) -> None:
    """Detect trigger words in live audio; see docs/streaming.md."""
    service: Service = websocket.app.state.service
    history = service.history if service.settings.has_database else None
    await StreamWebSocket(websocket, service.rooms, service.settings, history).serve(
        caller, partial(revoked, websocket, caller)
    )


@router.get("/rooms")
async def rooms(service: Served) -> list[RoomState]:
    """The rooms with a live stream, the oldest stream first."""
    return service.rooms.rooms()


def _check_capacity(service: Served) -> None:
    if service.rooms.events.subscribers >= service.settings.max_subscribers:
        raise Overloaded("there are too many subscribers to the events", retry_after=10)


@router.get("/trigger/events", response_class=EventSourceResponse, dependencies=[Depends(_check_capacity)])
async def events(
    request: Request,
    service: Served,
    caller: Annotated[Caller, Depends(authenticate)],
    room: Annotated[str | None, Query(max_length=64, description="only events of this room")] = None,
    last_event_id: Annotated[str | None, Header(max_length=64, description="continue after this event")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Detections in every room, or in one, as server-sent events. A comment every 15 s keeps the connection alive.

    An event `gap` comes first if detections after `Last-Event-ID` may be missing.
    """
    log = service.rooms.events
    yield ServerSentEvent(comment="listening", retry=_RETRY_MS)
    if last_event_id and log.missed_since(last_event_id):
        yield ServerSentEvent(event="gap", data={"after": last_event_id})
    async for event in until_revoked(request, caller, log.subscribe(room, last_event_id)):
        yield ServerSentEvent(event="detection", id=event.id, data=event)
