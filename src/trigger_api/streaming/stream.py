"""An open stream: its session, and the queue of messages for its client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from itertools import count

from trigger_api.errors import ServiceError, SlowReader
from trigger_api.streaming.session import HopResult, Keyword, Session

_MAX_MESSAGES = 64  # that may wait for a client that reads slowly
_numbers = count(1)

Message = HopResult | ServiceError | None


class Stream:
    """The audio of one room on its way in, and its detections on their way out.

    Args:
        session: processes the audio.
        room: the room's name.
        on_audio: called when there is audio to process.
        scores: whether the client wants the scores of every hop, not only detections.
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
        self.listener: Callable[[bytes], None] | None = None
        """Is given all audio that is fed."""
        self._on_audio = on_audio
        self._progress = asyncio.Event()
        self.scores = scores
        self._messages: asyncio.Queue[Message] = asyncio.Queue(_MAX_MESSAGES)

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        """The words that the stream listens for."""
        return self.session.keywords

    @property
    def heard_ms(self) -> int:
        """Milliseconds of audio that were processed, not counting the silence added at the end."""
        return min(self.last.time_ms, self.session.sent_ms) if self.last else 0

    def feed(self, pcm: bytes) -> None:
        """Add audio; see ``Session.feed``.

        Raises:
            TooFast: the client sends faster than real time.
            Overloaded: the server processes audio more slowly than real time.
        """
        self.session.feed(pcm)
        if self.listener is not None:
            self.listener(pcm)
        if self.session.ready:
            self._on_audio(self)

    def finish(self) -> None:
        """Process the audio that is left; then the results end."""
        self.session.finish()
        self._on_audio(self)

    async def caught_up(self) -> None:
        """Wait until less than a second of audio is waiting to be processed."""
        while self.session.waiting_s > 1 and not self.ended:
            self._progress.clear()
            await self._progress.wait()

    async def results(self) -> AsyncIterator[HopResult]:
        """Yield results as they are computed, until the stream ends.

        Raises:
            ServiceError: the stream cannot go on.
        """
        while (message := await self._messages.get()) is not None:
            if isinstance(message, ServiceError):
                raise message
            yield message

    def send(self, result: HopResult) -> None:
        """Queue a result for the client: always with detections, else if it wants scores and keeps up."""
        self.last = result
        self._progress.set()
        self.detections += len(result.detections)
        if result.detections and self._messages.full():
            self.fail(SlowReader("the client does not read its messages fast enough"))
        elif result.detections or (self.scores and self._messages.qsize() < _MAX_MESSAGES // 2):
            self._messages.put_nowait(result)

    def fail(self, error: ServiceError) -> None:
        """End the stream with an error, without the messages that are still waiting."""
        while not self._messages.empty():
            self._messages.get_nowait()
        self._end_stream(error)

    def end(self) -> None:
        """End the stream after the messages that are still waiting."""
        if self._messages.full():
            self.fail(SlowReader("the client does not read its messages fast enough"))
        else:
            self._end_stream(None)

    def _end_stream(self, last: ServiceError | None) -> None:
        if not self.ended:
            self.ended = True
            self._progress.set()
            self._messages.put_nowait(last)
