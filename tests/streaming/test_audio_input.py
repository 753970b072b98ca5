"""16-bit and float samples, told apart by what comes first."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.beep import beeps
from helpers.live_server import Server, answer, say, stop
from trigger_api.streaming.samples import pcm16

SILENCE = np.zeros(8_000, np.float32)
BEEP = beeps([1.0], seconds=1.5)


@pytest.mark.parametrize("query", ["", "format={}"], ids=["found out", "named"])
@pytest.mark.parametrize("name", ["s16", "f32"])
@pytest.mark.parametrize("frame", [37, 2_560, 100_000])
@pytest.mark.parametrize("silent", [False, True], ids=["sound first", "digital silence first"])
async def test_a_word_is_at_the_same_time(server: Server, query: str, name: str, frame: int, silent: bool) -> None:
    samples = np.concatenate([SILENCE, BEEP]) if silent else BEEP
    async with server.stream(query.format(name)) as socket:
        await answer(socket)
        await say(socket, pcm16(samples) if name == "s16" else samples.astype("<f4").tobytes(), frame=frame)
        detection, stopped = await stop(socket)
    assert detection["time_ms"] == pytest.approx(1_310 if silent else 810, abs=40)
    assert stopped["heard_ms"] == 1_000 * len(samples) // 16_000


@pytest.mark.parametrize("seconds", [0.0001, 0.5, 3])
async def test_all_silence_is_counted_as_16_bits(server: Server, seconds: float) -> None:
    async with server.stream() as socket:
        await answer(socket)
        await say(socket, bytes(2 * round(16_000 * seconds)))
        assert (await stop(socket))[-1]["heard_ms"] == pytest.approx(1_000 * seconds, abs=1)


async def test_an_unknown_format_is_refused(server: Server) -> None:
    async with server.stream("format=mp3") as socket:
        error = await answer(socket)
    assert error["code"] == "unprocessable"
    assert "'s16', 'f32', 'webm', 'ogg' or 'mp4'" in error["detail"]
