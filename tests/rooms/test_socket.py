from __future__ import annotations

import asyncio

import pytest
import websockets

from rooms.conftest import Make, Server, answer, everything, say, silence, stop, word


async def test_a_word_is_told_as_it_is_heard(server: Server) -> None:
    async with server.stream("room=kitchen&word=beep") as socket:
        ready = await answer(socket)
        assert ready == {
            "type": "ready", "room": "kitchen", "word": "beep", "model": "beep", "version": "1",
            "rate": 16_000, "threshold": 0.5, "hop_ms": 80.0,
        }  # fmt: skip
        await say(socket, word())
        heard = await answer(socket)
        assert heard.pop("time_ms") == pytest.approx(810, abs=40)
        assert heard == {"type": "detection", "word": "beep", "score": 1.0}
        (stopped,) = await stop(socket)
        assert stopped["detections"] == 1
        assert stopped["heard_ms"] >= 1500
    assert socket.close_code == 1000
