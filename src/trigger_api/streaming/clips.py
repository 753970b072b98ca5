"""The detections of a live stream in the history, each with the two seconds around it."""

from __future__ import annotations

import asyncio
import io
import wave
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from trigger_api.accounts.caller import Caller
from trigger_api.errors import Overloaded, ServiceError
from trigger_api.history.manager import History
from trigger_api.history.media import Media
from trigger_api.history.record import Record, clean_labels
from trigger_api.schemas import KeptDetection, StreamDetection, StreamSaved
from trigger_api.streaming.session import SAMPLE_BYTES

BEFORE_MS, AFTER_MS = 1_500, 500  # of the end of the word
_WAITING = 16  # clips of a stream
_PATH, _TASK = "/v1/trigger/stream", "trigger"


class AudioBuffer:
    """The latest audio of a stream.

    Args:
        rate: sample rate, Hz.
        seconds: how much is remembered.
    """

    def __init__(self, rate: int, seconds: float) -> None:
        self._rate = rate
        self._most = SAMPLE_BYTES * round(rate * seconds)
        self._pcm = bytearray()
        self._forgotten = 0

    @property
    def end_ms(self) -> int:
        """How much audio there was."""
        return 1000 * (self._forgotten + len(self._pcm)) // (SAMPLE_BYTES * self._rate)

    def feed(self, pcm: bytes) -> None:
        """Add audio."""
        self._pcm += pcm
        if len(self._pcm) > 2 * self._most:  # seldom: the rest is moved each time
            surplus = (len(self._pcm) - self._most) // SAMPLE_BYTES * SAMPLE_BYTES
            del self._pcm[:surplus]
            self._forgotten += surplus

    def cut(self, start_ms: int, stop_ms: int) -> bytes:
        """What is left of a part of it, as a WAV file."""
        start, stop = (SAMPLE_BYTES * (max(at, 0) * self._rate // 1000) for at in (start_ms, stop_ms))
        pcm = bytes(self._pcm[max(start - self._forgotten, 0) : max(stop - self._forgotten, 0)])
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(SAMPLE_BYTES)
            file.setframerate(self._rate)
            file.writeframes(pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES])
        return buffer.getvalue()


class Clips:
    """Keeps the detections of one stream. ``feed`` it the audio, and tell it what was ``detected``.

    Args:
        history: where they are kept.
        caller: whose they are.
        room: the room of the stream.
        buffer: remembers at least as much audio as may wait to be processed.
        report: is told of each whether it was saved.
    """

    def __init__(
        self,
        history: History,
        caller: Caller,
        room: str,
        buffer: AudioBuffer,
        report: Callable[[StreamSaved], Awaitable[None]],
    ) -> None:
        self._history = history
        self._caller = caller
        self._room = room
        self._buffer = buffer
        self._report = report
        self._pending: deque[StreamDetection] = deque()
        self._cut: asyncio.Queue[tuple[KeptDetection, bytes] | None] = asyncio.Queue()
        self._saving: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def saving(self) -> AsyncIterator[None]:
        """Save while the block runs, and at its end what is left."""
        self._saving = asyncio.create_task(self._run())
        try:
            yield
        finally:
            await self.finish()

    def feed(self, pcm: bytes) -> None:
        """Add audio that arrived."""
        self._buffer.feed(pcm)
        while self._pending and self._pending[0].time_ms + AFTER_MS <= self._buffer.end_ms:
            self._take(self._pending.popleft())

    def detected(self, hit: StreamDetection) -> None:
        """Keep a detection, once enough audio after it has arrived."""
        self._pending.append(hit)
        self.feed(b"")

    async def finish(self) -> None:
        """Save what is left, and wait until that is done: no more audio will arrive."""
        while self._pending:
            self._take(self._pending.popleft())
        self._cut.put_nowait(None)
        if self._saving is not None:
            await asyncio.shield(self._saving)

    def _take(self, hit: StreamDetection) -> None:
        start_ms = max(hit.time_ms - BEFORE_MS, 0)
        kept = KeptDetection(**hit.model_dump(), room=self._room, media_start_ms=start_ms)
        full = self._cut.qsize() >= _WAITING
        self._cut.put_nowait((kept, b"" if full else self._buffer.cut(start_ms, hit.time_ms + AFTER_MS)))

    async def _run(self) -> None:
        while (clip := await self._cut.get()) is not None:
            kept, audio = clip
            said = {"word": kept.word, "time_ms": kept.time_ms}
            try:
                saved = StreamSaved(**said, saved=True, history_id=await self._save(kept, audio))
            except ServiceError as error:
                saved = StreamSaved(**said, saved=False, save_error=error.detail)
            await self._report(saved)

    async def _save(self, kept: KeptDetection, audio: bytes) -> UUID:
        if not audio:
            raise Overloaded("too many detections are waiting to be saved")
        record = Record(
            owner_id=await self._history.owners.find(self._caller), task=_TASK, path=_PATH, model=kept.model,
            version=kept.version, duration_ms=0.0, answer=kept.model_dump(mode="json"),
            labels=clean_labels([kept.word]), media=Media(audio),
        )  # fmt: skip
        return await self._history.keep(self._caller, record)
