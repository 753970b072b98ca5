"""An open stream: its session, and what its client is to be told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from itertools import count

from trigger_api.errors import ServiceError, SlowReader
from trigger_api.streaming.session import HopResult, Keyword, Session

_OUTBOX = 64  # messages that may wait for a client that reads slowly
_numbers = count(1)

Message = HopResult | ServiceError | None


class Stream:
    """One room's audio on its way in, and its detections on their way out.

    Args:
        session: hears it.
        room: its name.
        on_audio: told whenever there is something to hear.
        scores: whether every hop is told, not only detections.
    """

    def __init__(
        self, session: Session, room: str, on_audio: Callable[[Stream], None], *, scores: bool = False
    ) -> None:
        self.number = next(_numbers)
        self.session = session
        self.room = room
        self.since = datetime.now(UTC)
        self.last: HopResult | None = None
        self.detections = 0
        self.ended = False
        self._on_audio = on_audio
        self._progress = asyncio.Event()
        self.scores = scores
        self._outbox: asyncio.Queue[Message] = asyncio.Queue(_OUTBOX)

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        """The words that are listened for."""
        return self.session.keywords

    @property
    def heard_ms(self) -> int:
        """Milliseconds of the audio that were heard; the silence put after its end is none of it."""
        return min(self.last.time_ms, self.session.sent_ms) if self.last else 0

    def feed(self, pcm: bytes) -> None:
        """Take audio; see ``Session.feed``.

        Raises:
            TooFast: the client sends faster than real time.
            Overloaded: we hear more slowly than real time.
        """
        self.session.feed(pcm)
        if self.session.ready:
            self._on_audio(self)

    def finish(self) -> None:
        """Hear what is left; then the results end."""
        self.session.finish()
        self._on_audio(self)

    async def caught_up(self) -> None:
        """Wait until less than a second of audio waits to be heard."""
        while self.session.waiting_s > 1 and not self.ended:
            self._progress.clear()
            await self._progress.wait()

    async def results(self) -> AsyncIterator[HopResult]:
        """What is heard, as it is heard, until the stream ends.

        Raises:
            ServiceError: the stream cannot go on.
        """
        while (message := await self._outbox.get()) is not None:
            if isinstance(message, ServiceError):
                raise message
            yield message

    def send(self, result: HopResult) -> None:
        """Note what was heard; the client is told of detections always, of the rest if it wants to know and reads."""
        self.last = result
        self._progress.set()
        self.detections += len(result.detections)
        if result.detections and self._outbox.full():
            self.fail(SlowReader("the client does not read what it is sent"))
        elif result.detections or (self.scores and self._outbox.qsize() < _OUTBOX // 2):
            self._outbox.put_nowait(result)

    def fail(self, error: ServiceError) -> None:
        """End the stream with an error; what was still to be told is not."""
        while not self._outbox.empty():
            self._outbox.get_nowait()
        self._end(error)

    def end(self) -> None:
        """End the stream once its client was told everything."""
        if self._outbox.full():
            self.fail(SlowReader("the client does not read what it is sent"))
        else:
            self._end(None)

    def _end(self, last: ServiceError | None) -> None:
        if not self.ended:
            self.ended = True
            self._progress.set()
            self._outbox.put_nowait(last)
