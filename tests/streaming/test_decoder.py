"""What a browser's recorder makes, decoded while it arrives."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from helpers.beep import beeps
from helpers.encoded import encoded
from helpers.live_server import Make, Server, answer, everything, say, stop
from helpers.until import until

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "200000"}


def recorded(container: str, codec: str, rate: int = 48_000, channels: int = 1, seconds: float = 1.5) -> bytes:
    """A beep that ends half a second before the recording does."""
    samples = np.repeat(beeps([seconds - 0.5], seconds=seconds, rate=rate)[:, None], channels, axis=1)
    options = {"webm": {"live": "1"}, "mp4": FRAGMENTED, "ogg": {"page_duration": "100000"}}
    return encoded(samples, rate, container, codec, **options.get(container, {}))


MADE = [
    ("webm", "libopus", 48_000, 1),
    ("webm", "libopus", 48_000, 2),
    ("matroska", "pcm_f32le", 44_100, 1),
    ("ogg", "libopus", 48_000, 1),
    ("mp4", "aac", 44_100, 2),
    ("mp4", "aac", 48_000, 1),
]


@pytest.mark.parametrize(("container", "codec", "rate", "channels"), MADE)
@pytest.mark.parametrize("frame", [1_999, 37])
async def test_a_recorder_is_heard(
    server: Server, container: str, codec: str, rate: int, channels: int, frame: int
) -> None:
    async with server.stream() as socket:
        await answer(socket)
        await say(socket, recorded(container, codec, rate, channels), frame=frame)
        heard = await stop(socket)
    assert [message["type"] for message in heard] == ["detection", "stopped"]
    assert heard[0]["time_ms"] == pytest.approx(810, abs=40)
    assert heard[1]["heard_ms"] == pytest.approx(1_500, abs=70)


@pytest.mark.parametrize("container", ["webm", "ogg", "mp4"])
async def test_it_is_heard_before_it_ends(server: Server, container: str) -> None:
    data = recorded(container, "aac" if container == "mp4" else "libopus", seconds=4)
    async with server.stream(f"format={container}") as socket:
        await answer(socket)
        await say(socket, data[: len(data) * 98 // 100])
        assert (await answer(socket))["type"] == "detection"


async def test_a_reset_begins_a_new_recording(server: Server) -> None:
    async with server.stream() as socket:
        for container in ("webm", "ogg"):
            assert (await answer(socket))["type"] == "ready"
            await say(socket, recorded(container, "libopus"))
            assert (await answer(socket))["time_ms"] == pytest.approx(810, abs=40)
            await socket.send('{"type": "reset"}')


async def test_what_is_no_such_container_is_told_so(server: Server) -> None:
    async with server.stream("format=webm") as socket:
        await answer(socket)
        await say(socket, b"RIFF" * 1_000)
        (error,) = await stop(socket)
    assert error["code"] == "unreadable_media"
    assert "webm" in error["detail"]


async def test_damage_in_the_middle_is_left_out(server: Server) -> None:
    data = bytearray(recorded("webm", "libopus"))
    data[400:420] = bytes(20)
    async with server.stream() as socket:
        await answer(socket)
        await say(socket, bytes(data))
        assert (await stop(socket))[-1]["type"] in {"stopped", "error"}


async def test_decoding_is_no_faster_than_real_time(server: Server) -> None:
    data = recorded("webm", "libopus", seconds=60)
    async with server.stream() as socket:
        await answer(socket)
        await say(socket, data)
        error = (await everything(socket))[-1]
    assert error["code"] == "too_fast"


async def test_threads_end_with_their_streams(server: Server) -> None:
    def decoders() -> int:
        return sum(thread.name == "live-decoder" for thread in threading.enumerate())

    async with server.stream() as socket:
        await answer(socket)
        await say(socket, recorded("webm", "libopus")[:2_000])
        await until(lambda: decoders() == 1)
    await until(lambda: decoders() == 0)


async def test_no_more_waits_than_may(serve: Make) -> None:
    async with serve(stream_backlog_s=0.1) as server, server.stream("format=webm") as socket:
        await answer(socket)
        await say(socket, bytes(60_000), frame=50_000)
        assert (await everything(socket))[-1]["type"] == "error"
