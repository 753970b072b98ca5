"""Which streams are open now, in this process and in the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator

from trigger_api.schemas import RoomEvent, RoomState
from trigger_api.streaming.pubsub import PresenceUpdate, PubSub
from trigger_api.streaming.stream import Stream

_HEARTBEAT_S = 2.0
_EXPIRY_S = 3 * _HEARTBEAT_S
_MAX_BYTES = 6_000  # a message; PostgreSQL's limit is just below 8000


class Presence:
    """The list of open streams. Every process keeps one, from updates that each publishes every two seconds."""

    def __init__(self, pubsub: PubSub, node: str) -> None:
        self._node = node
        self._pubsub = pubsub
        self._streams: dict[Stream, RoomEvent | None] = {}
        self._elsewhere: dict[tuple[str, int], tuple[float, RoomState]] = {}
        self._heartbeat: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to publish this process's streams, if there are other processes."""
        if not self._pubsub.local:
            self._heartbeat = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop publishing."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            await asyncio.gather(self._heartbeat, return_exceptions=True)

    def add(self, stream: Stream) -> None:
        """Add a stream of this process."""
        self._streams[stream] = None

    def remove(self, stream: Stream) -> None:
        """Remove a stream of this process."""
        self._streams.pop(stream, None)

    def record_detection(self, stream: Stream, event: RoomEvent) -> None:
        """Note the latest detection of a stream."""
        if stream in self._streams:
            self._streams[stream] = event

    def on_message(self, update: PresenceUpdate) -> None:
        """Note which streams another process serves."""
        if update.node != self._node:
            for state in update.rooms:
                self._elsewhere[update.node, state.stream] = (time.monotonic(), state)

    def rooms(self) -> list[RoomState]:
        """The streams of all processes, the oldest first."""
        oldest = time.monotonic() - _EXPIRY_S
        self._elsewhere = {key: value for key, value in self._elsewhere.items() if value[0] > oldest}
        elsewhere = [state for _, state in self._elsewhere.values()]
        return sorted([*self._own(), *elsewhere], key=lambda state: state.since)

    def _own(self) -> Iterator[RoomState]:
        for stream, event in self._streams.items():
            yield self._state(stream, event)

    async def _run(self) -> None:
        while True:
            for rooms in _split(self._own()):
                self._pubsub.publish(PresenceUpdate(node=self._node, rooms=rooms))
            await asyncio.sleep(_HEARTBEAT_S)

    def _state(self, stream: Stream, event: RoomEvent | None) -> RoomState:
        first, last = stream.keywords[0], stream.last
        return RoomState(
            room=stream.room,
            node=self._node,
            stream=stream.number,
            word=first.word,
            words=[keyword.word for keyword in stream.keywords],
            model=first.card.name,
            version=first.card.version,
            rate=stream.session.rate,
            since=stream.since,
            heard_ms=stream.heard_ms,
            level_dbfs=last.level_dbfs if last else None,
            detections=stream.detections,
            last_detection=event,
        )


def _split(states: Iterable[RoomState]) -> Iterator[list[RoomState]]:
    """Split rooms among messages of a bounded size. A room whose words alone are too many is sent with its first."""
    part: list[RoomState] = []
    left = _MAX_BYTES
    for state in states:
        short = state if _size(state) <= _MAX_BYTES else state.model_copy(update={"words": [state.word]})
        if part and _size(short) > left:
            yield part
            part, left = [], _MAX_BYTES
        part.append(short)
        left -= _size(short)
    if part:
        yield part


def _size(state: RoomState) -> int:
    return len(state.model_dump_json().encode())
