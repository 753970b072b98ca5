"""The WebSocket's side of a stream: what its frames mean, and how it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import structlog
from pydantic import BaseModel, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from trigger_api.errors import (
    ONE_ONLY,
    Idle,
    NotReady,
    Overloaded,
    ServiceError,
    TooLarge,
    Unprocessable,
    UnsupportedMedia,
    format_validation_errors,
)
from trigger_api.schemas import (
    StreamControl,
    StreamDetection,
    StreamError,
    StreamQuery,
    StreamReady,
    StreamScore,
    StreamStopped,
    StreamWord,
)
from trigger_api.settings import Settings
from trigger_api.streaming.manager import StreamManager
from trigger_api.streaming.session import HopResult, Keyword
from trigger_api.streaming.stream import Stream

PROTOCOL = "trigger-api"
DONE, UNSUPPORTED, POLICY, TOO_BIG, FAILED, AGAIN = 1000, 1003, 1008, 1009, 1011, 1013
_WORD = "word"
_PARTING_S = 5  # for the last words to a client that may not read them
_log = structlog.get_logger(__name__)


class Socket:
    """One accepted WebSocket."""

    def __init__(self, websocket: WebSocket, streams: StreamManager, settings: Settings) -> None:
        self._websocket = websocket
        self._streams = streams
        self._settings = settings
        self._last = 0.0

    async def serve(self, caller: str) -> None:
        """Stream until either side ends it."""
        await self._websocket.accept(PROTOCOL if PROTOCOL in self._websocket.scope["subprotocols"] else None)
        try:
            await self._stream(_query(self._websocket), caller)
        except WebSocketDisconnect:
            return
        except ServiceError as error:
            await self._part(error)
        except Exception as error:  # a fault of ours: the client learns nothing but that
            _log.error("stream failed", exc_info=error)
            await self._part(ServiceError("the server failed; its log has the cause"))

    async def _stream(self, query: StreamQuery, caller: str) -> None:
        again = True
        while again:
            async with self._streams.open(query, caller) as stream:
                await self._send(_ready(stream))
                again = await self._converse(stream)

    async def _converse(self, stream: Stream) -> bool:
        """Hear and tell at once. True if the client wants to begin anew."""
        telling = asyncio.create_task(self._tell(stream))
        hearing = asyncio.create_task(self._hear(stream))
        try:
            await self._watch(telling, hearing)
            if hearing.done() and not telling.done() and hearing.exception() is None and not hearing.result():
                await telling  # the audio has ended: what is left is still told
            done = telling if telling.done() else hearing
            return bool(done.result())
        finally:
            for task in (telling, hearing):
                task.cancel()
            await asyncio.gather(telling, hearing, return_exceptions=True)

    async def _watch(self, *tasks: asyncio.Task[bool]) -> None:
        """Wait for the first task to end. One look a while costs less than a timer for every frame.

        Raises:
            Idle: nothing came for too long.
        """
        idle_s = self._settings.stream_idle_s
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        while True:
            done, _ = await asyncio.wait(tasks, timeout=idle_s / 4, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return
            if loop.time() - self._last > idle_s:
                raise Idle(f"no audio for {idle_s:g} s")

    async def _hear(self, stream: Stream) -> bool:
        """Feed what comes until the client stops (False) or resets (True)."""
        async for frame in self._frames():
            if isinstance(frame, bytes):
                stream.feed(frame)
            elif _control(frame).type == "reset":
                return True
            else:
                stream.finish()
                return False
        raise AssertionError("frames end by an error only")

    async def _frames(self) -> AsyncIterator[bytes | str]:
        loop = asyncio.get_running_loop()
        while True:
            message = await self._websocket.receive()
            self._last = loop.time()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            frame: bytes | str = message.get("bytes") or message.get("text") or b""
            if len(frame) > self._settings.stream_frame_bytes:
                raise TooLarge(f"a message may have {self._settings.stream_frame_bytes} bytes")
            yield frame

    async def _tell(self, stream: Stream) -> bool:
        async for result in stream.results():
            for hit in result.detections:
                said = _named(hit.keyword)
                await self._send(StreamDetection(**said, time_ms=hit.time_ms, score=round(hit.score, 4)))
            if stream.scores:
                await self._send_scores(stream, result)
        await self._send(StreamStopped(detections=stream.detections, heard_ms=stream.heard_ms))
        await self._websocket.close(DONE)
        return False

    async def _send_scores(self, stream: Stream, result: HopResult) -> None:
        level = result.level_dbfs
        for keyword, score in zip(stream.keywords, result.scores, strict=True):
            said = _named(keyword)
            await self._send(StreamScore(**said, time_ms=result.time_ms, score=round(score, 4), level_dbfs=level))

    async def _send(self, message: BaseModel) -> None:
        await self._websocket.send_text(message.model_dump_json())

    async def _part(self, error: ServiceError) -> None:
        """Say what is wrong, then close. The client may be gone, or not read."""
        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(_PARTING_S):
                await self._send(StreamError(code=code(error), detail=error.detail))
                await self._websocket.close(close_code(error), error.detail[:100])


def code(error: ServiceError) -> str:
    """The error's name as the protocol has it: TooFast is ``too_fast``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def close_code(error: ServiceError) -> int:
    """RFC 6455's code for an error."""
    if isinstance(error, NotReady | Overloaded):
        return AGAIN
    if isinstance(error, TooLarge):
        return TOO_BIG
    if isinstance(error, UnsupportedMedia):
        return UNSUPPORTED
    return FAILED if type(error) is ServiceError else POLICY


def _query(websocket: WebSocket) -> StreamQuery:
    params = websocket.query_params
    repeated = [name for name in params if name != _WORD and len(params.getlist(name)) > 1]
    if repeated:  # the last would win, and nobody would know
        raise Unprocessable("; ".join(f"{name}: {ONE_ONLY}" for name in repeated))
    words = [word for word in params.getlist(_WORD) if word]
    try:
        return StreamQuery.model_validate({**params, _WORD: words})
    except ValidationError as error:
        raise Unprocessable(format_validation_errors(error.errors())) from None


def _control(text: str) -> StreamControl:
    try:
        return StreamControl.model_validate_json(text)
    except ValidationError:
        raise UnsupportedMedia('audio goes into binary frames; text is {"type": "stop"} or {"type": "reset"}') from None


def _ready(stream: Stream) -> StreamReady:
    words = [_listening(keyword) for keyword in stream.keywords]
    session = stream.session
    return StreamReady(
        **words[0].model_dump(), room=stream.room, rate=session.rate, hop_ms=session.model.hop_ms, words=words
    )


def _listening(keyword: Keyword) -> StreamWord:
    return StreamWord(**_named(keyword), threshold=keyword.decision.threshold)


def _named(keyword: Keyword) -> dict[str, str]:
    """What every message about a word says of it."""
    return {"word": keyword.word, "model": keyword.card.name, "version": keyword.card.version}
