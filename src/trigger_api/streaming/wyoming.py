"""Home Assistant's protocol over the same streams: describe, detect, audio in, detections out."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

import structlog
from pydantic import ValidationError
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Attribution, Describe, Info, WakeModel, WakeProgram
from wyoming.server import AsyncEventHandler
from wyoming.wake import Detect, Detection, NotDetected

from trigger_api import __version__
from trigger_api.errors import Overloaded, ServiceError, Unprocessable, format_validation_errors
from trigger_api.schemas import StreamQuery
from trigger_api.settings import Settings
from trigger_api.streaming.manager import StreamManager
from trigger_api.streaming.stream import Stream
from trigger_api.streaming.websocket import code
from trigger_api.tasks.trigger.words import EVERY_WORD, keyword, model_for_word

_WIDTHS, _CHANNELS = (1, 2, 4), (1, 2)
# What a peer can send that is no Wyoming: it is hung up on, and that is all.
_NONSENSE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError)
# A peer that lost its power says as little as one that is quiet: after some seconds the kernel asks whether it lives.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
_log = structlog.get_logger(__name__)


@asynccontextmanager
async def serving(uri: str, streams: StreamManager, settings: Settings) -> AsyncIterator[asyncio.Server]:
    """Speak Wyoming at an address for as long as the block lasts.

    The protocol has no tokens: only peers with private addresses are let in, unless the settings let everybody in.

    Args:
        uri: ``tcp://host:port`` or ``unix:///path``.
        streams: opens the streams.
        settings: limits, and who is let in.

    Raises:
        ValueError: the uri is neither.
        OSError: the address cannot be listened on.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        tasks.add(task)
        try:
            await _Peer(reader, writer, streams, settings).run(full=len(tasks) > settings.max_streams)
        finally:
            tasks.discard(task)

    address = urlsplit(uri)
    if address.scheme == "unix" and address.path:
        server = await asyncio.start_unix_server(connected, address.path)
    elif address.scheme == "tcp" and address.hostname and address.port is not None:
        server = await asyncio.start_server(connected, address.hostname, address.port)
    else:
        raise ValueError("a Wyoming address is tcp://host:port or unix:///path")
    _log.info("speaking Wyoming", uri=uri)
    try:
        yield server
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Bounded:
    """A reader that takes no more at once than it should, and does not wait for ever for what has begun.

    Between events it does wait: satellites keep their connection, and say nothing for hours. Only a peer that has never
    sent an event is not waited for.
    """

    def __init__(self, reader: asyncio.StreamReader, settings: Settings) -> None:
        self._reader = reader
        self._most = settings.stream_frame_bytes
        self._idle_s = settings.stream_idle_s
        self._known = False

    async def readline(self) -> bytes:
        async with asyncio.timeout(None if self._known else self._idle_s):
            first = await self._reader.read(1)
        if first in (b"", b"\n"):
            return first
        async with asyncio.timeout(self._idle_s):
            line = first + await self._reader.readline()
        self._known = True
        return line

    async def readexactly(self, count: int) -> bytes:
        if count > self._most:
            raise ValueError(f"{count} bytes in one event")
        async with asyncio.timeout(self._idle_s):
            return await self._reader.readexactly(count)


class _Peer(AsyncEventHandler):
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, streams: StreamManager, settings: Settings
    ) -> None:
        super().__init__(cast(asyncio.StreamReader, _Bounded(reader, settings)), writer)
        self._settings = settings
        self._streams = streams
        self._host = str((writer.get_extra_info("peername") or ("local",))[0])
        self._asked: dict[str, str] = {}
        self._stream: Stream | None = None
        self._open = AsyncExitStack()
        self._telling: asyncio.Task[None] | None = None
        self._mono = AudioChunkConverter(width=2, channels=1)

    async def run(self, *, full: bool = False) -> None:
        """Answer until either side hangs up; if the server is full, say so."""
        if not _may_enter(self._host, self._settings):
            _log.warning("a Wyoming peer has no private address", peer=self._host)
            self.writer.close()
            return
        _keep_alive(self.writer)
        try:
            if full:
                await self._refuse(Overloaded("too many peers are connected"))
            else:
                await super().run()
        except _NONSENSE as error:
            _log.info("a Wyoming peer is gone", peer=self._host, error=type(error).__name__)

    async def handle_event(self, event: Event) -> bool:
        """Answer one event."""
        try:
            await self._answer(event)
        except ServiceError as error:
            await self._refuse(error)
            return False
        return True

    async def disconnect(self) -> None:
        """Leave the stream, if there is one."""
        self._stream = None
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
            self._telling = None
        await self._open.aclose()

    async def _answer(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self.write_event(_info(self._streams).event())
        elif Detect.is_type(event.type):
            self._ask(Detect.from_event(event).names or [])
        elif AudioStart.is_type(event.type):
            await self._begin(AudioStart.from_event(event).rate)
        elif AudioChunk.is_type(event.type):
            await self._hear(AudioChunk.from_event(event))
        elif AudioStop.is_type(event.type):
            await self._end()

    def _ask(self, names: list[str]) -> None:
        """Note the models to listen with, each as the peer calls it; without names every one."""
        cards = self._streams.cards()
        self._asked = {}
        for name in names:
            self._asked.setdefault(model_for_word(cards, name), name)

    async def _begin(self, rate: int) -> Stream:
        await self.disconnect()
        try:
            query = StreamQuery(room=f"wyoming {self._host}", rate=rate, word=(*self._asked,) or (EVERY_WORD,))
        except ValidationError as error:
            raise Unprocessable(format_validation_errors(error.errors())) from None
        stream = await self._open.enter_async_context(self._streams.open(query, self._host, paced=False))
        self._telling = asyncio.create_task(self._tell(stream))
        self._stream = stream
        return stream

    async def _hear(self, chunk: AudioChunk) -> None:
        stream = self._stream or await self._begin(chunk.rate)
        if chunk.width not in _WIDTHS or chunk.channels not in _CHANNELS:
            raise Unprocessable("samples of 1, 2 or 4 bytes in one or two channels are heard")
        if len(chunk.audio) % (chunk.width * chunk.channels):
            raise Unprocessable("a chunk ends in the middle of a sample")
        stream.feed(self._mono.convert(chunk).audio)
        await stream.caught_up()  # a file may come as fast as we hear it

    async def _end(self) -> None:
        stream, telling = self._stream, self._telling
        if stream is None or telling is None:
            return
        stream.finish()
        await telling
        if not stream.detections:
            await self.write_event(NotDetected().event())
        await self.disconnect()

    async def _tell(self, stream: Stream) -> None:
        try:
            async for result in stream.results():
                for hit in result.detections:
                    model = hit.keyword.card.name
                    name = self._asked.get(model, model)
                    await self.write_event(Detection(name=name, timestamp=hit.time_ms).event())
        except ServiceError as error:
            await self._refuse(error)

    async def _refuse(self, error: ServiceError) -> None:
        await self.write_event(Error(text=error.detail, code=code(error)).event())
        self.writer.close()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Have the kernel find out when a TCP peer is gone that did not say so."""
    connection = writer.get_extra_info("socket")
    if connection is None or connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has each
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _may_enter(host: str, settings: Settings) -> bool:
    try:
        return settings.auth == "open" or ipaddress.ip_address(host.partition("%")[0]).is_private
    except ValueError:
        return True  # a Unix socket


def _info(streams: StreamManager) -> Info:
    about = Attribution(name="trigger_api", url="")
    models = [
        WakeModel(
            name=card.name,
            attribution=about,
            installed=True,
            description=card.description,
            version=card.version,
            languages=["en"],
            phrase=keyword(card),
        )
        for card in streams.cards()
    ]
    program = WakeProgram(
        name="trigger_api",
        attribution=about,
        installed=True,
        description="trigger words on one server for every room",
        version=__version__,
        models=models,
    )
    return Info(wake=[program])
