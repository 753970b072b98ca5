"""Live audio over Wyoming, Home Assistant's protocol for voice."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
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
from trigger_api.errors import Overloaded, ServiceError, Unauthenticated, Unprocessable, format_validation_errors
from trigger_api.model_card import ModelCard
from trigger_api.schemas import StreamQuery
from trigger_api.settings import Settings
from trigger_api.streaming.manager import StreamManager
from trigger_api.streaming.stream import Stream
from trigger_api.streaming.websocket import error_code
from trigger_api.tasks.trigger.words import EVERY_WORD, keyword, model_for_word

_WIDTHS, _CHANNELS = (1, 2, 4), (1, 2)
# Whatever a peer sends that is not Wyoming raises one of these: the connection is closed.
_PROTOCOL_ERRORS = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError)
# A satellite without power is as quiet as one that waits, so the kernel probes it after a minute.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
_ATTRIBUTION = Attribution(name="trigger_api", url="")
_Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_log = structlog.get_logger(__name__)


@asynccontextmanager
async def serving(uri: str, streams: StreamManager, settings: Settings) -> AsyncIterator[asyncio.Server]:
    """Serve Wyoming at an address for the duration of the block.

    The protocol has no tokens, so only peers with private addresses are accepted; with ``auth`` set to ``open``
    everybody is, and with ``required`` nobody.

    Args:
        uri: ``tcp://host:port`` or ``unix:///path``.
        streams: opens the streams.
        settings: limits, and who is accepted.

    Raises:
        ValueError: the URI is neither.
        OSError: the address cannot be listened on.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        tasks.add(task)
        try:
            await _Connection(reader, writer, streams, settings).run(full=len(tasks) > settings.max_streams)
        finally:
            tasks.discard(task)

    server = await _start_server(uri, connected)
    _log.info("serving Wyoming", uri=uri)
    try:
        yield server
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _start_server(uri: str, connected: _Connected) -> asyncio.Server:
    address = urlsplit(uri)
    if address.scheme == "unix" and address.path:
        return await asyncio.start_unix_server(connected, address.path)
    if address.scheme == "tcp" and address.hostname and address.port is not None:
        return await asyncio.start_server(connected, address.hostname, address.port)
    raise ValueError("a Wyoming URI must be tcp://host:port or unix:///path")


class _BoundedReader:
    """A stream reader with a limit on the size of an event, and a timeout for one that has begun.

    There is no timeout between events: satellites keep their connection and are silent for hours. Only a peer that has
    never sent an event is disconnected.
    """

    def __init__(self, reader: asyncio.StreamReader, settings: Settings) -> None:
        self._reader = reader
        self._max_bytes = settings.stream_frame_bytes
        self._idle_s = settings.stream_idle_s
        self._introduced = False

    async def readline(self) -> bytes:
        async with asyncio.timeout(None if self._introduced else self._idle_s):
            first = await self._reader.read(1)
        if first in (b"", b"\n"):
            return first
        async with asyncio.timeout(self._idle_s):
            line = first + await self._reader.readline()
        self._introduced = True
        return line

    async def readexactly(self, count: int) -> bytes:
        if count > self._max_bytes:
            raise ValueError(f"an event of {count} bytes is too large")
        async with asyncio.timeout(self._idle_s):
            return await self._reader.readexactly(count)


class _Connection(AsyncEventHandler):
    """The connection of one peer."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, streams: StreamManager, settings: Settings
    ) -> None:
        super().__init__(cast(asyncio.StreamReader, _BoundedReader(reader, settings)), writer)
        self._settings = settings
        self._streams = streams
        self._host = str((writer.get_extra_info("peername") or ("local",))[0])
        self._names: dict[str, str] = {}
        self._stream: Stream | None = None
        self._exit_stack = AsyncExitStack()
        self._sending: asyncio.Task[None] | None = None
        self._mono = AudioChunkConverter(width=2, channels=1)

    async def run(self, *, full: bool = False) -> None:
        """Answer events until either side disconnects, or only with an error if the server is ``full``."""
        if self._settings.auth == "required":
            await self._refuse(Unauthenticated("this server requires a token, and Wyoming has none"))
            return
        if not _is_allowed(self._host, self._settings):
            _log.warning("Wyoming peer rejected: its address is not private", peer=self._host)
            self.writer.close()
            return
        _keep_alive(self.writer)
        try:
            if full:
                await self._refuse(Overloaded("too many connections"))
            else:
                await super().run()
        except _PROTOCOL_ERRORS as error:
            _log.info("Wyoming connection lost", peer=self._host, error=type(error).__name__)

    async def handle_event(self, event: Event) -> bool:
        """Answer one event."""
        try:
            await self._answer(event)
        except ServiceError as error:
            await self._refuse(error)
            return False
        return True

    async def disconnect(self) -> None:
        """End the stream, if there is one."""
        self._stream = None
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
            self._sending = None
        await self._exit_stack.aclose()

    async def _answer(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self.write_event(_info(self._streams).event())
        elif Detect.is_type(event.type):
            self._select_models(Detect.from_event(event).names or [])
        elif AudioStart.is_type(event.type):
            await self._start_stream(AudioStart.from_event(event).rate)
        elif AudioChunk.is_type(event.type):
            await self._on_audio(AudioChunk.from_event(event))
        elif AudioStop.is_type(event.type):
            await self._end_stream()

    def _select_models(self, names: list[str]) -> None:
        """Note the models to use, each with the name that the peer uses; without names, all of them."""
        cards = self._streams.cards()
        self._names = {}
        for name in names:
            self._names.setdefault(model_for_word(cards, name), name)

    async def _start_stream(self, rate: int) -> Stream:
        await self.disconnect()
        try:
            query = StreamQuery(room=f"wyoming {self._host}", rate=rate, word=(*self._names,) or (EVERY_WORD,))
        except ValidationError as error:
            raise Unprocessable(format_validation_errors(error.errors())) from None
        stream = await self._exit_stack.enter_async_context(self._streams.open(query, self._host, real_time=False))
        self._sending = asyncio.create_task(self._send_results(stream))
        self._stream = stream
        return stream

    async def _on_audio(self, chunk: AudioChunk) -> None:
        stream = self._stream or await self._start_stream(chunk.rate)
        if chunk.width not in _WIDTHS or chunk.channels not in _CHANNELS:
            raise Unprocessable("audio must have samples of 1, 2 or 4 bytes in one or two channels")
        if len(chunk.audio) % (chunk.width * chunk.channels):
            raise Unprocessable("an audio chunk ends in the middle of a sample")
        stream.feed(self._mono.convert(chunk).audio)
        await stream.caught_up()  # a recording may be sent as fast as it is processed

    async def _end_stream(self) -> None:
        stream, sending = self._stream, self._sending
        if stream is None or sending is None:
            return
        stream.finish()
        await sending
        if not stream.detections:
            await self.write_event(NotDetected().event())
        await self.disconnect()

    async def _send_results(self, stream: Stream) -> None:
        try:
            async for result in stream.results():
                for hit in result.detections:
                    model = hit.keyword.card.name
                    name = self._names.get(model, model)
                    await self.write_event(Detection(name=name, timestamp=hit.time_ms).event())
        except ServiceError as error:
            await self._refuse(error)

    async def _refuse(self, error: ServiceError) -> None:
        await self.write_event(Error(text=error.detail, code=error_code(error)).event())
        self.writer.close()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Have the kernel detect TCP peers that are gone without closing the connection."""
    connection = writer.get_extra_info("socket")
    if connection is None or connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has all of them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _is_allowed(host: str, settings: Settings) -> bool:
    try:
        return settings.auth == "open" or ipaddress.ip_address(host.partition("%")[0]).is_private
    except ValueError:
        return True  # a Unix socket


def _info(streams: StreamManager) -> Info:
    program = WakeProgram(
        name="trigger_api",
        attribution=_ATTRIBUTION,
        installed=True,
        description="trigger words for every room from one server",
        version=__version__,
        models=[_wake_model(card) for card in streams.cards()],
    )
    return Info(wake=[program])


def _wake_model(card: ModelCard) -> WakeModel:
    return WakeModel(
        name=card.name,
        attribution=_ATTRIBUTION,
        installed=True,
        description=card.description,
        version=card.version,
        languages=["en"],
        phrase=keyword(card),
    )
