"""The detections of a stream in the history."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from helpers.live_server import Make, answer, say, serve, silence, stop, word
from trigger_api.errors import QuotaExceeded
from trigger_api.streaming.clips import AudioBuffer

__all__ = ["serve"]
RATE = 16_000


def read(data: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


class TestAudioBuffer:
    def test_cuts_what_it_remembers(self) -> None:
        buffer = AudioBuffer(RATE, 2)
        counted = np.arange(RATE * 6, dtype="<i4").astype("<i2")
        for start in range(0, len(counted), 999):
            buffer.feed(counted[start : start + 999].tobytes())
        assert buffer.end_ms == 6_000
        assert (read(buffer.cut(4_500, 5_500)) == counted[72_000:88_000]).all()
        assert (read(buffer.cut(5_500, 9_000)) == counted[88_000:]).all()
        assert len(read(buffer.cut(-500, 100))) == 0

    def test_half_a_sample_is_left_out(self) -> None:
        buffer = AudioBuffer(RATE, 2)
        buffer.feed(bytes(33))
        assert len(read(buffer.cut(0, 500))) == 16


async def test_detections_are_kept_with_the_two_seconds_around_them(serve: Make, tmp_path: Path) -> None:
    audio = silence(2) + word(1.5) + silence(1)  # the word ends after 3 s
    async with serve(database_url=f"sqlite:///{tmp_path}/d.sqlite3") as server, server.http() as http:
        async with server.stream("room=kitchen&save=true") as socket:
            await answer(socket)
            await say(socket, audio)
            messages = await stop(socket)
        (hit,) = [each for each in messages if each["type"] == "detection"]
        (saved,) = [each for each in messages if each["type"] == "saved"]
        assert messages[-1]["type"] == "stopped"
        assert (saved["saved"], saved["time_ms"], saved["word"]) == (True, hit["time_ms"], "beep")
        entry = (await http.get(f"/v1/history/{saved['history_id']}")).json()
        assert entry["answer"] == {**hit, "room": "kitchen", "media_start_ms": hit["time_ms"] - 1_500}
        assert (entry["path"], entry["labels"], entry["model"]) == ("/v1/trigger/stream", ["beep"], "beep")
        media = (await http.get(f"/v1/history/{saved['history_id']}/media")).content
        start = hit["time_ms"] * RATE // 1000 - 24_000
        assert (read(media) == np.frombuffer(audio, "<i2")[start : start + 32_000]).all()


async def test_a_word_at_the_very_end_is_kept(serve: Make, tmp_path: Path) -> None:
    async with serve(database_url=f"sqlite:///{tmp_path}/d.sqlite3") as server, server.http() as http:
        async with server.stream("save=true") as socket:
            await answer(socket)
            await say(socket, word(1.5)[: -2 * RATE // 2])
            messages = await stop(socket)
        assert [each["type"] for each in messages] == ["detection", "saved", "stopped"]
        assert len((await http.get("/v1/history")).json()["items"]) == 1


async def test_nothing_is_kept_unasked(serve: Make, tmp_path: Path) -> None:
    async with serve(database_url=f"sqlite:///{tmp_path}/d.sqlite3") as server, server.http() as http:
        async with server.stream() as socket:
            await answer(socket)
            await say(socket, word())
            assert [each["type"] for each in await stop(socket)] == ["detection", "stopped"]
        assert (await http.get("/v1/history")).json()["items"] == []


async def test_a_stream_without_a_history_says_so(serve: Make) -> None:
    async with serve() as server, server.stream("save=true") as socket:
        refused = await answer(socket)
        assert (refused["type"], refused["code"]) == ("error", "unprocessable")


async def test_a_full_account_is_told_and_the_stream_goes_on(serve: Make, tmp_path: Path) -> None:
    async def full(*args: object, **options: object) -> None:
        raise QuotaExceeded("your history is full")

    async with serve(database_url=f"sqlite:///{tmp_path}/d.sqlite3") as server, server.stream("save=true") as socket:
        await answer(socket)
        server.service.history._writer._commit = full  # type: ignore[method-assign]
        await say(socket, word() + word())
        messages = await stop(socket)
    assert [each["type"] for each in messages].count("detection") == 2
    assert [each["save_error"] for each in messages if each["type"] == "saved"] == ["your history is full"] * 2
