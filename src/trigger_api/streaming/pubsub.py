"""Messages between processes that serve the same rooms: the interface, and its version for a single process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field, TypeAdapter

from trigger_api.schemas import RoomEvent, RoomState


class Detected(BaseModel):
    """A word was detected."""

    kind: Literal["detected"] = "detected"
    event: RoomEvent


class PresenceUpdate(BaseModel):
    """Some of the streams that a process serves now. Streams that are not repeated soon have ended."""

    kind: Literal["presence"] = "presence"
    node: str
    rooms: list[RoomState]


Message = Detected | PresenceUpdate
MessageHandler = Callable[[Message], None]
MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


class PubSub(Protocol):
    """Carries messages to every process, including the one that published them."""

    local: bool
    """Whether there are no other processes, so that nobody needs presence updates."""

    async def start(self, on_message: MessageHandler) -> None:
        """Begin to call ``on_message``, on the event loop."""

    def publish(self, message: Message) -> None:
        """Send a message to every process. Never waits and never fails."""

    async def close(self) -> None:
        """Stop."""


class LocalPubSub:
    """For a single process: messages are delivered at once."""

    local = True

    def __init__(self) -> None:
        self._on_message: MessageHandler = lambda message: None

    async def start(self, on_message: MessageHandler) -> None:
        """Deliver messages from now on."""
        self._on_message = on_message

    def publish(self, message: Message) -> None:
        """Deliver the message."""
        self._on_message(message)

    async def close(self) -> None:
        """Do nothing: nothing is running."""
