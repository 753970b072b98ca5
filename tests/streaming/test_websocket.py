from __future__ import annotations

import asyncio
import json
import socket as sockets
from contextlib import suppress
from pathlib import Path

import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

from helpers.beep import BeepModel, add_model, plain_card, trigger_card
from helpers.live_server import Make, Server, answer, everything, say, silence, stop, word
from helpers.until import until
from trigger_api.model_card import Decision


async def test_a_detection_is_sent_at_once(server: Server) -> None:
    async with server.stream("room=kitchen&word=beep") as socket:
        ready = await answer(socket)
        assert ready == {
            "type": "ready", "room": "kitchen", "word": "beep", "model": "beep", "version": "1",
            "rate": 16_000, "threshold": 0.5, "hop_ms": 80.0,
            "words": [{"word": "beep", "model": "beep", "version": "1", "threshold": 0.5}],
        }  # fmt: skip
        await say(socket, word())
        heard = await answer(socket)
        assert heard.pop("time_ms") == pytest.approx(810, abs=40)
        assert heard == {"type": "detection", "word": "beep", "score": 1.0, "model": "beep", "version": "1"}
        (stopped,) = await stop(socket)
        assert stopped["detections"] == 1
        assert stopped["heard_ms"] >= 1500
    assert socket.close_code == 1000


@pytest.mark.parametrize(("rate", "frame"), [(8_000, 101), (44_100, 4_411), (48_000, 9_999)])
async def test_any_rate_and_any_frame_length(server: Server, rate: int, frame: int) -> None:
    async with server.stream(f"rate={rate}") as socket:
        await answer(socket)
        await say(socket, word(rate=rate), frame=frame)
        heard = await stop(socket)
        assert [message["type"] for message in heard] == ["detection", "stopped"]
        assert heard[0]["time_ms"] == pytest.approx(810, abs=40)


async def test_scores_for_a_meter(server: Server) -> None:
    async with server.stream("scores=true") as socket:
        await answer(socket)
        await say(socket, word())
        messages = await stop(socket)
    ticks = [message for message in messages if message["type"] == "score"]
    assert [tick["time_ms"] for tick in ticks[:18]] == list(range(80, 1500, 80))
    assert {tick["score"] for tick in ticks} == {0.0, 1.0}
    assert max(tick["level_dbfs"] for tick in ticks) == pytest.approx(-13.5, abs=0.5)


@pytest.mark.parametrize("said", ["hey-jarvis", "hey%20jarvis", "jarvis", "Hey_Jarvis"])
async def test_a_word_is_named_as_on_the_card_however_it_is_spelt(serve: Make, models: Path, said: str) -> None:
    add_model(models, trigger_card("hey-jarvis").model_copy(update={"labels": ("hey jarvis", "jarvis")}))
    async with serve() as server, server.stream(f"word={said}") as socket:
        ready = await answer(socket)
        assert (ready["word"], ready["model"]) == ("hey jarvis", "hey-jarvis")


async def test_several_words_each_have_their_own_decision(serve: Make, models: Path) -> None:
    late = trigger_card("late").model_copy(update={"decision": Decision(threshold=0.4, patience=2)})
    add_model(models, late)
    for query in ("word=late&word=beep&word=LATE", "word=*"):
        async with serve() as server, server.stream(f"{query}&scores=true") as socket:
            ready = await answer(socket)
            words = {each["word"]: each["threshold"] for each in ready["words"]}
            assert words == {"beep": 0.5, "late": 0.4}
            assert ready["word"] == ready["words"][0]["word"]
            assert server.service.rooms.rooms()[0].words == list(words)
            await say(socket, word())
            messages = await stop(socket)
        heard = [(hit["word"], hit["model"], hit["time_ms"]) for hit in messages if hit["type"] == "detection"]
        assert heard == [("beep", "beep", 810), ("late", "late", 960)]
        ticks = [(tick["time_ms"], tick["word"]) for tick in messages if tick["type"] == "score"]
        assert set(ticks[:4]) == {(80, "beep"), (80, "late"), (160, "beep"), (160, "late")}
        assert messages[-1]["detections"] == 2


async def test_the_queue_of_a_head_is_removed_with_its_last_stream(serve: Make, models: Path) -> None:
    add_model(models, trigger_card("other"))
    async with serve() as server, server.stream("word=beep") as first:
        await answer(first)
        async with server.stream("word=other") as second:
            await answer(second)
            assert streaming(server) == ["embedding/beep-embedding/1", "trigger/beep/1", "trigger/other/1"]
        await until(lambda: len(streaming(server)) == 2)
        assert streaming(server) == ["embedding/beep-embedding/1", "trigger/beep/1"]
        await say(first, word())
        assert (await answer(first))["type"] == "detection"


def streaming(server: Server) -> list[str]:
    """The models whose queues serve streams now."""
    queues = [queue.name for queue in server.service.engine.scheduler._queues]
    return sorted(name.removesuffix("/stream") for name in queues if name.endswith("/stream"))


@pytest.mark.parametrize("seconds", [0, 0.05, 0.5])
async def test_added_silence_is_not_counted(server: Server, seconds: float) -> None:
    async with server.stream() as socket:
        await answer(socket)
        await say(socket, silence(seconds))
        assert await stop(socket) == [{"type": "stopped", "detections": 0, "heard_ms": 1000 * seconds}]


async def test_a_word_at_the_very_end_is_detected(server: Server) -> None:
    async with server.stream() as socket:
        await answer(socket)
        await say(socket, word()[: 2 * 16_000])
        assert [message["type"] for message in await stop(socket)] == ["detection", "stopped"]


async def test_reset_starts_a_new_stream(server: Server) -> None:
    async with server.stream() as socket:
        await answer(socket)
        await say(socket, silence(1))
        await socket.send('{"type": "reset"}')
        assert (await answer(socket))["type"] == "ready"
        await say(socket, word())
        assert (await answer(socket))["time_ms"] == pytest.approx(810, abs=40)


async def test_no_ghost_after_a_reconnect(server: Server) -> None:
    async with server.stream("room=hall") as socket:
        await answer(socket)
        await say(socket, word()[:-16_000])  # up to the very end of the word
    async with server.stream("room=hall") as socket:
        await answer(socket)
        await say(socket, silence(3))
        assert [message["type"] for message in await stop(socket)] == ["stopped"]


async def test_a_gate_keeps_silence_from_the_network(server: Server, network: BeepModel) -> None:
    async with server.stream("vad_dbfs=-45") as socket:
        await answer(socket)
        before = len(network.batches)
        await say(socket, silence(2))
        await stop(socket)
        assert len(network.batches) == before
    async with server.stream("vad_dbfs=-45") as socket:
        await answer(socket)
        await say(socket, word())
        assert [message["type"] for message in await stop(socket)] == ["detection", "stopped"]


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("rate=7999", "unprocessable", "rate"),
        ("rate=fast", "unprocessable", "rate"),
        ("room=%00", "unprocessable", "room: up to 64 letters"),
        ("wrod=beep", "unprocessable", "wrod"),
        ("threshold=nan", "unprocessable", "threshold"),
        ("threshold=0.5&sensitivity=low", "unprocessable", "give a sensitivity or a threshold, not both"),
        ("model=beep&word=beep", "unprocessable", "give a model or a word, not both"),
        ("room=a&room=b", "unprocessable", "room: may be given only once"),
        ("word=beep&word=nix", "unknown_model", "beep"),
        ("word=*&version=1", "unprocessable", "several words"),
        ("word=*&model=beep", "unprocessable", "give a model or a word, not both"),
        ("sensitivity=high", "unprocessable", "medium"),
        ("word=nix", "unknown_model", "beep"),
        ("model=nix", "unknown_model", "beep"),
        ("version=7", "unknown_model", "beep"),
    ],
)
async def test_invalid_queries_are_reported(server: Server, query: str, code: str, words: str) -> None:
    async with server.stream(query) as socket:
        (error,) = await everything(socket)
        assert (error["type"], error["code"]) == ("error", code)
        assert words in error["detail"]
    assert socket.close_code == 1008


async def test_text_instead_of_audio(server: Server) -> None:
    for text in ("hello", "{}", '{"type": "dance"}', "[" * 10_000, '"stop"'):
        async with server.stream() as socket:
            await answer(socket)
            await socket.send(text)
            (error,) = await everything(socket)
            assert error["code"] == "unsupported_media"
        assert socket.close_code == 1003


async def test_a_frame_of_ten_megabytes(server: Server) -> None:
    async with server.stream() as socket:
        await answer(socket)
        with suppress(ConnectionClosed):
            await socket.send(bytes(10_000_000))
        await everything(socket)
    assert socket.close_code in (1009, 1006)  # it may still be sending when we hang up


async def test_the_limit_holds_whatever_the_server_below_allows(serve: Make) -> None:
    async with serve(stream_frame_bytes=1_000) as server, server.stream() as socket:
        await answer(socket)
        await socket.send(bytes(1_002))
        (error,) = await everything(socket)
        assert error["code"] == "too_large"
    assert socket.close_code == 1009


async def test_faster_than_real_time(serve: Make) -> None:
    async with serve(stream_backlog_s=2) as server, server.stream() as socket:
        await answer(socket)
        await socket.send(silence(1.9))
        await socket.send(silence(1.9))
        (error,) = await everything(socket)
        assert error["code"] == "too_fast"
    assert socket.close_code == 1008


async def test_idle(serve: Make) -> None:
    async with serve(stream_idle_s=0.2) as server, server.stream() as socket:
        await answer(socket)
        (error,) = await everything(socket)
        assert error["code"] == "idle"
        assert server.service.rooms.rooms() == []
    assert socket.close_code == 1008


async def test_streams_of_a_caller_and_of_the_server_are_counted(serve: Make) -> None:
    async with serve(max_streams_per_caller=1) as server, server.stream() as first:
        await answer(first)
        async with server.stream() as second:
            assert (await answer(second))["code"] == "too_many_streams"
            with pytest.raises(ConnectionClosed):
                await second.recv()
        assert second.close_code == 1008
    async with serve(max_streams=1) as server:
        async with server.stream() as first, server.stream() as second:
            await answer(first)
            assert (await answer(second))["code"] == "overloaded"
            with pytest.raises(ConnectionClosed):
                await second.recv()
        assert second.close_code == 1013
        async with server.stream() as third:
            assert (await answer(third))["type"] == "ready"


async def test_a_server_that_cannot_keep_up_reports_overload(serve: Make, network: BeepModel) -> None:
    async with serve(stream_backlog_s=0.5) as server, server.stream() as socket:
        await answer(socket)
        network.gate.clear()
        with suppress(ConnectionClosed):
            for _ in range(14):
                await say(socket, silence(0.1))
                await asyncio.sleep(0.1)
        (error,) = await everything(socket)
        network.gate.set()
        assert error["code"] == "overloaded"
    assert socket.close_code == 1013


async def test_an_unexpected_error_reveals_no_details(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("trigger_api.streaming.batcher.prepare", broken)
    async with server.stream() as socket:
        await answer(socket)
        await say(socket, silence(0.2))
        (error,) = await everything(socket)
        assert error["code"] == "service_error"
        assert "secret" not in error["detail"]
    assert socket.close_code == 1011
    monkeypatch.undo()
    async with server.stream() as socket:  # the others, and the next ones, are heard
        await answer(socket)
        await say(socket, word())
        assert (await answer(socket))["type"] == "detection"


async def test_models_for_whole_recordings_are_no_default(serve: Make, models: Path, network: BeepModel) -> None:
    add_model(models, plain_card("aaa"))
    async with serve() as server:
        async with server.stream() as socket:
            assert (await answer(socket))["model"] == "beep"
        async with server.stream("model=aaa") as socket:
            (error,) = await everything(socket)
            assert "whole recordings only" in error["detail"]
        assert server.service.rooms._batchers == {}


class TestLettingIn:
    async def test_a_token_is_needed_as_for_everything_else(self, serve: Make) -> None:
        async with serve(tokens="secret") as server:
            for options in ({}, {"additional_headers": {"X-Api-Token": "wrong"}}, {"subprotocols": ["bearer.wrong"]}):
                with pytest.raises(InvalidStatus) as refused:
                    await server.stream(**options)
                assert refused.value.response.status_code == 401
                assert json.loads(refused.value.response.body or b"")["title"] == "Unauthorized"
            for options in (
                {"additional_headers": {"X-Api-Token": "secret"}},
                {"additional_headers": {"Authorization": "Bearer secret"}},
                {"subprotocols": ["trigger-api", "bearer.secret"]},
            ):
                async with server.stream(**options) as socket:
                    assert (await answer(socket))["type"] == "ready"
                    assert socket.subprotocol == ("trigger-api" if "subprotocols" in options else None)

    async def test_another_sites_page_is_kept_out(self, serve: Make) -> None:
        async with serve(cors_origins="https://house.example") as server:
            with pytest.raises(InvalidStatus) as refused:
                await server.stream(origin="https://evil.example")
            assert refused.value.response.status_code == 403
            for origin in ("https://house.example", f"http://127.0.0.1:{server.port}"):
                async with server.stream(origin=origin) as socket:
                    assert (await answer(socket))["type"] == "ready"


class TestHostility:
    @pytest.mark.slow
    async def test_a_thousand_connects_and_drops(self, server: Server) -> None:
        async with server.stream("room=calm&scores=true") as calm:
            await answer(calm)
            speaking = asyncio.create_task(self.speak(calm, seconds=4))
            for _ in range(20):
                await asyncio.gather(*(self.drop(server.port) for _ in range(50)))
            await speaking
            assert {json.loads(text)["type"] for text in await self.waiting(calm)} == {"score"}
        await self.until_empty(server)

    async def test_a_client_that_never_reads(self, serve: Make) -> None:
        async with serve() as server, server.stream() as calm:
            await answer(calm)
            deaf = self.connect(server.port, "room=deaf&scores=true")
            frame = b"\x82\xfe\x0a\x00" + bytes(4 + 2560)
            for _ in range(60):
                deaf.sendall(frame)
                await asyncio.sleep(0.02)
            await say(calm, word())
            assert (await answer(calm))["type"] == "detection"
            deaf.close()
            await self.until_empty(server, but=1)

    @staticmethod
    async def speak(socket: websockets.ClientConnection, seconds: float) -> None:
        for _ in range(round(seconds / 0.08)):
            await socket.send(silence(0.08))
            await asyncio.sleep(0.08)

    @staticmethod
    async def waiting(socket: websockets.ClientConnection) -> list[str | bytes]:
        """The scores of most of the audio."""
        return [await asyncio.wait_for(socket.recv(), 5) for _ in range(40)]

    @staticmethod
    def connect(port: int, query: str) -> sockets.socket:
        raw = sockets.create_connection(("127.0.0.1", port))
        raw.sendall(
            f"GET /v1/trigger/stream?{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        return raw

    async def drop(self, port: int) -> None:
        raw = self.connect(port, "room=rude")
        await asyncio.sleep(0)
        raw.sendall(b"\x82\x85" + bytes(4) + b"12345")
        raw.close()

    @staticmethod
    async def until_empty(server: Server, *, but: int = 0) -> None:
        rooms, streams = server.service.rooms, server.service.metrics.streams
        await until(lambda: len(rooms.rooms()) <= but)
        await until(lambda: len(rooms._batchers) <= but and streams._value.get() <= but)
