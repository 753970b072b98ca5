"""Audio from a microphone, a recording or standard input, streamed to a running server."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit, urlunsplit

import soundfile
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

FRAME_S = 0.08
_SAMPLE_BYTES = 2
Audio = AsyncIterator[bytes]
Message = dict[str, Any]


async def stream_audio(
    url: str, audio: Audio, query: dict[str, Any], token: str | None = None
) -> AsyncIterator[Message]:
    """Stream audio to a server, and yield its messages until all of the audio is processed.

    Args:
        url: the server, ``http`` or ``ws``.
        audio: 16-bit little-endian mono, in real time.
        query: options of the stream, see ``StreamQuery``. None is left out, a list becomes a repeated parameter.
        token: an API token.

    Raises:
        OSError: the server cannot be reached.
        websockets.exceptions.InvalidStatus: the server rejects the connection.
    """
    headers = {"X-Api-Token": token} if token else {}
    async with connect(stream_url(url, query), additional_headers=headers, compression=None) as socket:
        sending = asyncio.create_task(_send(socket, audio))
        try:
            with suppress(ConnectionClosed):  # its last message says why
                async for text in socket:
                    yield json.loads(text)
        finally:
            sending.cancel()
            (outcome,) = await asyncio.gather(sending, return_exceptions=True)
        if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
            raise outcome


def stream_url(url: str, query: dict[str, Any]) -> str:
    """The URL of a stream on a server."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    params = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/v1/trigger/stream", params, ""))


async def play_file(path: Path) -> tuple[int, Audio]:
    """The sample rate of a recording, and its audio in real time.

    Raises:
        soundfile.LibsndfileError: the file cannot be read.
    """
    samples, rate = await asyncio.to_thread(soundfile.read, path, dtype="int16", always_2d=True)
    mono: bytes = samples.mean(axis=1).round().astype("<i2").tobytes()
    return rate, _real_time(_chunks(mono, rate), rate)


async def pcm_stream(stream: BinaryIO, rate: int) -> Audio:
    """Raw samples, for instance from ``arecord``, no faster than real time."""
    async for chunk in _real_time(_read_chunks(stream, _frame(rate)), rate):
        yield chunk


def microphone(rate: int) -> Audio:
    """Audio from the default microphone. Needs the extra ``listen``.

    Raises:
        ImportError: the package sounddevice is missing.
        OSError: PortAudio or a usable microphone is missing. Raised at once, before the audio is iterated.
    """
    try:
        import sounddevice
    except OSError as error:
        raise OSError(f"{error}: install PortAudio, on Debian with: apt-get install libportaudio2") from error

    try:
        sounddevice.check_input_settings(samplerate=rate, channels=1, dtype="int16")
    except (sounddevice.PortAudioError, ValueError) as error:
        raise OSError(f"no microphone can record at {rate} Hz: {error}") from error
    return _record(sounddevice, rate)


async def _record(sounddevice: ModuleType, rate: int) -> Audio:
    try:
        async for chunk in _capture(sounddevice.RawInputStream, rate):
            yield chunk
    except sounddevice.PortAudioError as error:
        raise OSError(f"the microphone failed: {error}") from error


async def _capture(stream: Callable[..., AbstractContextManager[Any]], rate: int) -> Audio:
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()

    def on_audio(data: Any, frames: int, at: Any, status: Any) -> None:
        loop.call_soon_threadsafe(chunks.put_nowait, bytes(data))

    block = _frame(rate) // _SAMPLE_BYTES
    with stream(samplerate=rate, blocksize=block, channels=1, dtype="int16", callback=on_audio):
        while True:
            yield await chunks.get()


def stdin() -> BinaryIO:
    """Standard input, as bytes."""
    return sys.stdin.buffer


async def _send(socket: ClientConnection, audio: Audio) -> None:
    try:
        async for chunk in audio:
            await socket.send(chunk)
        await socket.send('{"type": "stop"}')
    except Exception:
        with suppress(asyncio.CancelledError):  # closing cancels this task, which must still raise its own error
            await socket.close()
        raise


async def _chunks(pcm: bytes, rate: int) -> Audio:
    size = _frame(rate)
    for start in range(0, len(pcm), size):
        yield pcm[start : start + size]


async def _read_chunks(stream: BinaryIO, size: int) -> Audio:
    while chunk := await asyncio.to_thread(stream.read, size):
        yield chunk


async def _real_time(chunks: Audio, rate: int) -> Audio:
    """Yield each chunk at the time when its last sample would have been recorded."""
    due = time.monotonic()
    async for chunk in chunks:
        due = max(due, time.monotonic() - FRAME_S) + len(chunk) / (_SAMPLE_BYTES * rate)
        await asyncio.sleep(due - time.monotonic())
        yield chunk


def _frame(rate: int) -> int:
    return _SAMPLE_BYTES * round(rate * FRAME_S)
