"""Who streams now: the streams of this process, and what other processes say of theirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator

from trigger_api.schemas import RoomEvent, RoomState
from trigger_api.streaming.pubsub import PresenceUpdate, PubSub
from trigger_api.streaming.stream import Stream

_HEARTBEAT_S = 2.0
_FORGET_S = 3 * _HEARTBEAT_S
_MOST_BYTES = 6_000  # of the rooms in one message: PostgreSQL carries less than 8000


class Presence:
    """A list that every process keeps, from what each says of itself every two seconds."""

    def __init__(self, pubsub: PubSub, node: str) -> None:
        self._node = node
        self._pubsub = pubsub
        self._streams: dict[Stream, RoomEvent | None] = {}
        self._elsewhere: dict[tuple[str, int], tuple[float, RoomState]] = {}
        self._heartbeat: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Call the roll from now on, if somebody is there to hear it."""
        if not self._pubsub.alone:
            self._heartbeat = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop calling."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            await asyncio.gather(self._heartbeat, return_exceptions=True)

    def add(self, stream: Stream) -> None:
        """A stream has begun."""
        self._streams[stream] = None

    def remove(self, stream: Stream) -> None:
        """A stream has ended."""
        self._streams.pop(stream, None)

    def note(self, stream: Stream, event: RoomEvent) -> None:
        """Something was detected in a stream."""
        if stream in self._streams:
            self._streams[stream] = event

    def on_message(self, update: PresenceUpdate) -> None:
        """Another process says who streams to it."""
        if update.node != self._node:
            for state in update.rooms:
                self._elsewhere[update.node, state.stream] = (time.monotonic(), state)

    def rooms(self) -> list[RoomState]:
        """Everybody's streams, the oldest first."""
        oldest = time.monotonic() - _FORGET_S
        self._elsewhere = {key: value for key, value in self._elsewhere.items() if value[0] > oldest}
        elsewhere = [state for _, state in self._elsewhere.values()]
        return sorted([*self._own(), *elsewhere], key=lambda state: state.since)

    def _own(self) -> Iterator[RoomState]:
        for stream, event in self._streams.items():
            yield self._state(stream, event)

    async def _run(self) -> None:
        while True:
            for part in _parts(self._own()):
                self._pubsub.publish(PresenceUpdate(node=self._node, rooms=part))
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


def _parts(states: Iterable[RoomState]) -> Iterator[list[RoomState]]:
    """The rooms in messages of a bounded size; of one that listens for a great many words, the first is told."""
    part: list[RoomState] = []
    left = _MOST_BYTES
    for state in states:
        told = state if _size(state) <= _MOST_BYTES else state.model_copy(update={"words": [state.word]})
        if part and _size(told) > left:
            yield part
            part, left = [], _MOST_BYTES
        part.append(told)
        left -= _size(told)
    if part:
        yield part


def _size(state: RoomState) -> int:
    return len(state.model_dump_json().encode())
