"""Live audio over a WebSocket: the meaning of its frames, and its close codes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import closing, suppress
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from trigger_api.accounts.caller import Caller
from trigger_api.errors import (
    ONE_ONLY,
    Idle,
    NotReady,
    Overloaded,
    ServiceError,
    TooLarge,
    Unauthenticated,
    Unprocessable,
    UnsupportedMedia,
    format_validation_errors,
)
from trigger_api.history.choice import is_wanted
from trigger_api.history.manager import History
from trigger_api.schemas import (
    StreamControl,
    StreamDetection,
    StreamError,
    StreamQuery,
    StreamReady,
    StreamSaved,
    StreamScore,
    StreamStopped,
    StreamWord,
)
from trigger_api.settings import Settings
from trigger_api.streaming.audio_input import AudioInput, audio_input
from trigger_api.streaming.clips import BEFORE_MS, AudioBuffer, Clips
from trigger_api.streaming.manager import StreamManager
from trigger_api.streaming.session import HopResult, Keyword
from trigger_api.streaming.stream import Stream

PROTOCOL = "trigger-api"
DONE, UNSUPPORTED, POLICY, TOO_BIG, FAILED, AGAIN = 1000, 1003, 1008, 1009, 1011, 1013
_WORD = "word"
_CLOSE_TIMEOUT_S = 5  # for the last message to a client that may not be reading
_log = structlog.get_logger(__name__)


class StreamWebSocket:
    """One WebSocket."""

    def __init__(
        self, websocket: WebSocket, streams: StreamManager, settings: Settings, history: History | None = None
    ) -> None:
        self._websocket = websocket
        self._streams = streams
        self._settings = settings
        self._history = history
        self._clips: Clips | None = None
        self._last = 0.0

    async def serve(self, caller: Caller, revoked: Callable[[], Awaitable[None]]) -> None:
        """Accept the WebSocket, and stream until either side ends it.

        Args:
            caller: who has opened it.
            revoked: waits until the caller may not stream any more.
        """
        await self._websocket.accept(PROTOCOL if PROTOCOL in self._websocket.scope["subprotocols"] else None)
        try:
            await _run_unless(revoked, self._stream(caller))
        except WebSocketDisconnect:
            return
        except ServiceError as error:
            await self._close_with_error(error)
        except Exception as error:  # the client learns no details
            _log.error("stream failed", exc_info=error)
            await self._close_with_error(ServiceError("internal error; see the server's log"))

    async def _stream(self, caller: Caller) -> None:
        query = _query(self._websocket)
        keep = is_wanted(caller, query.save, has_history=self._history is not None)
        reset = True
        while reset:
            async with self._streams.open(query, caller.name) as stream:
                await self._send(_ready(stream))
                reset = await (self._run_and_keep(stream, query, caller) if keep else self._run(stream, query))

    async def _run_and_keep(self, stream: Stream, query: StreamQuery, caller: Caller) -> bool:
        assert self._history is not None
        seconds = self._settings.stream_backlog_s + BEFORE_MS / 1000 + 1
        buffer = AudioBuffer(stream.session.rate, seconds)
        self._clips = Clips(self._history, caller, stream.room, buffer, self._report)
        stream.listener = self._clips.feed
        async with self._clips.saving():
            return await self._run(stream, query)

    async def _report(self, saved: StreamSaved) -> None:
        """Tell the client, if it is still there."""
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._send(saved)

    async def _run(self, stream: Stream, query: StreamQuery) -> bool:
        """Run one stream until it ends. True if the client asks for a reset."""
        with closing(audio_input(stream, query.format, self._settings.stream_backlog_s)) as audio:
            return await self._exchange(stream, audio)

    async def _exchange(self, stream: Stream, audio: AudioInput) -> bool:
        """Receive audio and send results, concurrently. True if the client asks for a reset."""
        sending = asyncio.create_task(self._send_results(stream))
        receiving = asyncio.create_task(self._receive_audio(audio))
        try:
            await self._watch(sending, receiving)
            if receiving.done() and not sending.done() and receiving.exception() is None and not receiving.result():
                await sending  # the audio has ended, and results are still coming
            done = sending if sending.done() else receiving
            return bool(done.result())
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _watch(self, *tasks: asyncio.Task[bool]) -> None:
        """Wait for the first task to end. Polling costs less than restarting a timer at every frame.

        Raises:
            Idle: nothing was received for too long.
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

    async def _receive_audio(self, audio: AudioInput) -> bool:
        """Feed audio until the client sends stop (False) or reset (True)."""
        async for frame in self._frames():
            if isinstance(frame, bytes):
                audio.feed(frame)
            elif _control(frame).type == "reset":
                return True
            else:
                audio.finish()
                return False
        raise AssertionError("frames only end with an error")

    async def _frames(self) -> AsyncIterator[bytes | str]:
        loop = asyncio.get_running_loop()
        while True:
            message = await self._websocket.receive()
            self._last = loop.time()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            frame: bytes | str = message.get("bytes") or message.get("text") or b""
            if len(frame) > self._settings.stream_frame_bytes:
                raise TooLarge(f"a message may have at most {self._settings.stream_frame_bytes} bytes")
            yield frame

    async def _send_results(self, stream: Stream) -> bool:
        async for result in stream.results():
            for hit in result.detections:
                word = _word_fields(hit.keyword)
                detection = StreamDetection(**word, time_ms=hit.time_ms, score=round(hit.score, 4))
                await self._send(detection)
                if self._clips is not None:
                    self._clips.detected(detection)
            if stream.scores:
                await self._send_scores(stream, result)
        if self._clips is not None:
            await self._clips.finish()
        await self._send(StreamStopped(detections=stream.detections, heard_ms=stream.heard_ms))
        await self._websocket.close(DONE)
        return False

    async def _send_scores(self, stream: Stream, result: HopResult) -> None:
        level = result.level_dbfs
        for keyword, score in zip(stream.keywords, result.scores, strict=True):
            word = _word_fields(keyword)
            await self._send(StreamScore(**word, time_ms=result.time_ms, score=round(score, 4), level_dbfs=level))

    async def _send(self, message: BaseModel) -> None:
        await self._websocket.send_text(message.model_dump_json())

    async def _close_with_error(self, error: ServiceError) -> None:
        """Send the error, then close. The client may be gone, or not be reading."""
        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._send(StreamError(code=error_code(error), detail=error.detail))
                await self._websocket.close(close_code(error), error.detail[:100])


async def _run_unless(revoked: Callable[[], Awaitable[None]], work: Coroutine[Any, Any, None]) -> None:
    """Do some work until it ends, or the caller may not have it done any more.

    Raises:
        Unauthenticated: that has happened.
    """
    ended, working = asyncio.ensure_future(revoked()), asyncio.create_task(work)
    try:
        await asyncio.wait({ended, working}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
    finally:
        ended.cancel()
        working.cancel()
        await asyncio.gather(ended, working, return_exceptions=True)
    raise Unauthenticated("the token or session has ended")


def error_code(error: ServiceError) -> str:
    """The error's name in the protocol: ``too_fast`` for ``TooFast``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def close_code(error: ServiceError) -> int:
    """The close code of RFC 6455 for an error."""
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
    if repeated:  # else the last would win silently
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
        raise UnsupportedMedia(
            'send audio in binary frames; text must be {"type": "stop"} or {"type": "reset"}'
        ) from None


def _ready(stream: Stream) -> StreamReady:
    words = [_stream_word(keyword) for keyword in stream.keywords]
    session = stream.session
    return StreamReady(
        **words[0].model_dump(), room=stream.room, rate=session.rate, hop_ms=session.model.hop_ms, words=words
    )


def _stream_word(keyword: Keyword) -> StreamWord:
    return StreamWord(**_word_fields(keyword), threshold=keyword.decision.threshold)


def _word_fields(keyword: Keyword) -> dict[str, str]:
    """The fields that every message about a word has."""
    return {"word": keyword.word, "model": keyword.card.name, "version": keyword.card.version}
