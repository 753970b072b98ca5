"""Clients that stream in real time over real sockets, cheap enough to measure a server on the same machine.

Frames are encoded once, with a mask of zeros; answers are parsed just enough to find the JSON in them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

FRAME_MS = 80
_STOP = b'{"type": "stop"}'
_BINARY, _TEXT, _CLOSE, _PING, _PONG = 0x2, 0x1, 0x8, 0x9, 0xA


@dataclass(frozen=True)
class Script:
    """What every client plays in a loop: frames of 80 ms, and the times at which words end (ms)."""

    frames: Sequence[bytes]
    words_ms: Sequence[int]

    @property
    def length_ms(self) -> int:
        """The duration of one loop."""
        return len(self.frames) * FRAME_MS


@dataclass
class ClientResult:
    """What one client sent and received."""

    sent_ms: int = 0
    heard_ms: int = 0
    expected: int = 0
    delays_ms: list[float] = field(default_factory=list)
    false_detections: int = 0
    error: str = ""


def encode(payload: bytes, opcode: int = _BINARY) -> bytes:
    """A client's WebSocket frame."""
    size = len(payload)
    head = bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + size.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + head + bytes(4) + payload


class StreamClient(asyncio.Protocol):
    """One room: plays the script from an offset of its own, and records what it receives and when."""

    def __init__(self, script: Script, number: int, rooms: int) -> None:
        self.outcome = ClientResult()
        self.open = asyncio.Event()
        self.done = asyncio.Event()
        self._script = script
        self._number = number
        self._first = number * len(script.frames) // rooms
        self._transport: asyncio.WriteTransport
        self._buffer = b""
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        self._transport = cast(asyncio.WriteTransport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /v1/trigger/stream?room=room-{self._number} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        """Record an error if the server closed early."""
        if not self.outcome.heard_ms:
            self.outcome.error = self.outcome.error or f"closed early: {error}"
        self.open.set()
        self.done.set()

    def data_received(self, data: bytes) -> None:
        """Handle what the server sends, frame by frame."""
        self._buffer += data
        if not self.open.is_set():
            _, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._buffer = rest
            self.open.set()
        while len(self._buffer) >= 2:
            size, start = self._buffer[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(self._buffer[2:4], "big"), 4
            if len(self._buffer) < start + size:
                return
            opcode, payload = self._buffer[0] & 0xF, self._buffer[start : start + size]
            self._buffer = self._buffer[start + size :]
            self._take(opcode, payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT:
            self._read(json.loads(payload))
        elif opcode == _PING:
            self._transport.write(encode(payload, _PONG))
        elif opcode == _CLOSE:
            self._transport.close()

    def _read(self, message: dict[str, Any]) -> None:
        if message["type"] == "detection":
            self._compare(message["time_ms"])
        elif message["type"] == "stopped":
            self.outcome.heard_ms = message["heard_ms"]
        elif message["type"] == "error":
            self.outcome.error = message["detail"]

    def _compare(self, time_ms: int) -> None:
        """Record how long after the word's end, in real time, its detection arrives."""
        place = (self._first * FRAME_MS + time_ms) % self._script.length_ms
        nearest = min(self._script.words_ms, key=lambda end: abs(end - place))
        if abs(nearest - place) > 500:
            self.outcome.false_detections += 1
            return
        now_ms = (time.perf_counter() - self._started) * 1000
        self.outcome.delays_ms.append(now_ms - (time_ms + nearest - place))

    async def play(self, start: float, frames: int) -> None:
        """Send frames, each when its last sample would have been recorded; then stop and wait."""
        await asyncio.wait_for(self.open.wait(), 30)
        self._started = start
        for number in range(frames):
            await asyncio.sleep(start + (number + 1) * FRAME_MS / 1000 - time.perf_counter())
            if self._transport.is_closing():
                return
            self._transport.write(self._script.frames[(self._first + number) % len(self._script.frames)])
            self.outcome.sent_ms += FRAME_MS
        self.outcome.expected = self._words(frames)
        self._transport.write(encode(_STOP, _TEXT))
        await asyncio.wait_for(self.done.wait(), 30)

    def _words(self, frames: int) -> int:
        """Words that were played completely: with their first second, too."""
        begin, end = self._first * FRAME_MS, (self._first + frames) * FRAME_MS
        length = self._script.length_ms
        ends = (lap * length + word for lap in range(end // length + 1) for word in self._script.words_ms)
        return sum(begin + 1_000 <= place <= end for place in ends)


async def stream(port: int, script: Script, *, rooms: int, seconds: float) -> list[ClientResult]:
    """Stream to several rooms at once, their frames spread evenly over time."""
    loop = asyncio.get_running_loop()
    made = [StreamClient(script, number, rooms) for number in range(rooms)]
    for room in made:
        await loop.create_connection(lambda room=room: room, "127.0.0.1", port)  # type: ignore[misc]
    frames = round(seconds * 1000 / FRAME_MS)
    start = time.perf_counter() + 0.5
    offsets = [number * FRAME_MS / 1000 / rooms for number in range(rooms)]
    await asyncio.gather(
        *(room.play(start + offset, frames) for room, offset in zip(made, offsets, strict=True)),
        return_exceptions=True,
    )
    return [room.outcome for room in made]
