from __future__ import annotations

import io
import sys
import time
from collections.abc import AsyncIterator

import pytest

from helpers import fake_sounddevice
from helpers.live_server import Server, serve, server, word
from trigger_api.cli import audio_source

__all__ = ["serve", "server"]


async def test_the_microphone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = fake_sounddevice.install(monkeypatch, word())
    messages = audio_source.stream_audio(
        f"http://127.0.0.1:{server.port}", audio_source.microphone(16_000), {"room": "x"}
    )
    async for message in messages:
        if message["type"] == "detection":
            break
    assert message["time_ms"] == pytest.approx(810, abs=40)
    assert opened == [{"samplerate": 16_000, "channels": 1, "dtype": "int16"}]


async def test_a_microphone_that_is_in_use_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sounddevice.install(monkeypatch, fails="Device unavailable [PaErrorCode -9985]")
    with pytest.raises(OSError, match=r"^the microphone failed: Device unavailable"):
        await anext(audio_source.microphone(16_000))


async def test_a_missing_package_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError):
        audio_source.microphone(16_000)


async def test_a_microphone_that_fails_ends_it(server: Server) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(2_560)
        raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"):
        async for _ in audio_source.stream_audio(f"http://127.0.0.1:{server.port}", broken(), {"room": "x"}):
            pass


async def test_raw_audio_is_never_faster_than_real_time() -> None:
    started = time.monotonic()
    chunks = [chunk async for chunk in audio_source.pcm_stream(io.BytesIO(bytes(6_400)), 8_000)]
    assert sum(map(len, chunks)) == 6_400
    assert time.monotonic() - started >= 0.35


def test_addresses() -> None:
    query = {"room": "my room", "word": None}
    assert audio_source.stream_url("https://h/api/", query) == "wss://h/api/v1/trigger/stream?room=my+room"
