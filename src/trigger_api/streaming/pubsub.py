"""How processes that serve the same rooms hear of each other: a seam, and the one process that is alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field, TypeAdapter

from trigger_api.schemas import RoomEvent, RoomState


class Detected(BaseModel):
    """A word was heard."""

    kind: Literal["detected"] = "detected"
    event: RoomEvent


class PresenceUpdate(BaseModel):
    """A part of who streams to a process now. What is not repeated for a while is no longer so."""

    kind: Literal["roll"] = "roll"
    node: str
    rooms: list[RoomState]


PubSubMessage = Annotated[Detected | PresenceUpdate, Field(discriminator="kind")]
MESSAGES: TypeAdapter[Detected | PresenceUpdate] = TypeAdapter(PubSubMessage)
Deliver = Callable[[Detected | PresenceUpdate], None]


class PubSub(Protocol):
    """Carries news to every process, the one that published them included."""

    alone: bool
    """Whether no other process listens: there is no need to call the roll."""

    async def start(self, deliver: Deliver) -> None:
        """Begin to deliver news, on the event loop."""

    def publish(self, news: Detected | PresenceUpdate) -> None:
        """Tell everybody. Never waits and never fails."""

    async def close(self) -> None:
        """Stop."""


class LocalPubSub:
    """One process: what is published is delivered at once."""

    alone = True

    def __init__(self) -> None:
        self._deliver: Deliver = lambda news: None

    async def start(self, deliver: Deliver) -> None:
        """Deliver from now on."""
        self._deliver = deliver

    def publish(self, news: Detected | PresenceUpdate) -> None:
        """Deliver."""
        self._deliver(news)

    async def close(self) -> None:
        """Nothing runs."""
