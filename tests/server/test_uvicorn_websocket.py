"""What strangers do to WebSockets leaves nothing in the log above its request line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

from helpers.live_server import Make, answer, serve, silence, word

__all__ = ["serve"]


def log(capsys: pytest.CaptureFixture[str]) -> tuple[set[str], list[dict[str, Any]]]:
    """The levels of all lines, and the requests of WebSockets among them."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return {line["level"] for line in lines}, [line for line in lines if line["event"] == "request"]


@pytest.mark.parametrize(
    ("path", "options", "status", "route"),
    [
        ("/v1/trigger/stream", {}, 401, "/v1/trigger/stream"),
        ("/nope", {"additional_headers": {"X-Api-Token": "secret"}}, 404, "unmatched"),
        ("/v1/trigger", {"additional_headers": {"X-Api-Token": "secret"}}, 404, "unmatched"),
    ],
)
async def test_a_refusal_is_a_request_like_any_other(
    serve: Make, capsys: pytest.CaptureFixture[str], path: str, options: dict[str, Any], status: int, route: str
) -> None:
    async with serve(tokens="secret", log_level="info") as server:
        capsys.readouterr()
        with pytest.raises(InvalidStatus) as refused:
            await websockets.connect(f"ws://127.0.0.1:{server.port}{path}?room=attic", **options)
    response = refused.value.response
    problem = json.loads(response.body or b"")
    assert (response.status_code, problem["status"]) == (status, status)
    assert response.headers["X-Request-ID"] == problem["request_id"] != ""
    levels, (line,) = log(capsys)
    assert levels == {"info"}
    assert (line["status"], line["route"], line["method"]) == (status, route, "GET")
    assert line["request_id"] == problem["request_id"]


async def test_another_sites_page_is_refused_in_one_line(serve: Make, capsys: pytest.CaptureFixture[str]) -> None:
    async with serve(log_level="info") as server:
        capsys.readouterr()
        with pytest.raises(InvalidStatus) as refused:
            await server.stream("room=attic", origin="https://evil.example")
    assert refused.value.response.status_code == 403
    output = capsys.readouterr().err
    assert "attic" not in output
    assert '"error"' not in output


async def test_a_stream_is_named_and_logged_once_when_it_ends(serve: Make, capsys: pytest.CaptureFixture[str]) -> None:
    async with serve(log_level="info") as server:
        capsys.readouterr()
        async with server.stream(additional_headers={"X-Request-ID": "mine"}) as socket:
            await answer(socket)
            assert socket.response is not None
            assert socket.response.headers["X-Request-ID"] == "mine"
    levels, (line,) = log(capsys)
    assert levels == {"info"}
    assert (line["status"], line["route"], line["request_id"]) == (101, "/v1/trigger/stream", "mine")


@pytest.mark.parametrize("parts", [[b"\xff\xfe"], [b"{", b"\xff"]])
async def test_text_that_is_none_closes_with_1007(
    serve: Make, capsys: pytest.CaptureFixture[str], parts: list[bytes]
) -> None:
    async with serve(log_level="info") as server:
        capsys.readouterr()
        async with server.stream() as socket:
            await answer(socket)
            async with socket.send_context():
                for number, part in enumerate(parts):
                    last = number == len(parts) - 1
                    opcode = socket.protocol.send_text if number == 0 else socket.protocol.send_continuation
                    opcode(part, fin=last)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        assert socket.close_code == 1007
    levels, (line,) = log(capsys)
    assert levels == {"info"}
    assert line["status"] == 101


async def test_text_and_audio_still_pass_in_pieces(serve: Make) -> None:
    async with serve() as server, server.stream() as socket:
        await answer(socket)
        await socket.send([word()[:3_001], word()[3_001:], silence(1)])
        assert (await answer(socket))["type"] == "detection"
        await socket.send(['{"type": ', '"stop"}'])
        assert (await answer(socket))["type"] == "stopped"
