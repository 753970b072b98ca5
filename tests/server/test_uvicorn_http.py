from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from helpers.running import serving
from helpers.until import let_others_run
from trigger_api.server.uvicorn_http import MAX_HEAD_BYTES, JoinedHead


@pytest.fixture
def address(app: FastAPI) -> Iterator[tuple[str, int]]:
    with serving(app) as where:
        host, port = where.split(":")
        yield host, int(port)


def exchange(address: tuple[str, int], *parts: bytes) -> bytes:
    """Send parts until the server closes the connection, and return its response."""
    with socket.create_connection(address, timeout=10) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except OSError:
            pass
        answer = b""
        try:
            while b"\r\n\r\n" not in answer and (part := connection.recv(65_536)):
                answer += part
        except ConnectionResetError:
            pass
        return answer


GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"


def test_a_head_without_end_is_refused(address: tuple[str, int]) -> None:
    for filler in (b"X: " + b"a" * 10_000_000, b"".join(b"X%d: y\r\n" % i for i in range(500_000))):
        answer = exchange(address, GET, filler)
        assert answer == b"" or b" 431 " in answer.split(b"\r\n")[0]
    assert httpx.get("http://{}:{}/health/live".format(*address)).status_code == 200


def test_an_ordinary_head_passes_whole_or_in_pieces(address: tuple[str, int]) -> None:
    head = GET + b"X: " + b"a" * (MAX_HEAD_BYTES // 2) + b"\r\n\r\n"
    assert b" 200 " in exchange(address, head)
    assert b" 200 " in exchange(address, head[:100], head[100:200], head[200:])


def test_each_request_of_a_connection_has_its_own_head(address: tuple[str, int]) -> None:
    with httpx.Client(base_url="http://{}:{}".format(*address)) as client:
        for _ in range(4):
            response = client.get("/health/live", headers={"X": "a" * (MAX_HEAD_BYTES // 3)})
            assert response.status_code == 200
        body = b"x" * (4 * MAX_HEAD_BYTES)  # a body is not a head
        assert client.post("/v1/trigger", content=body).status_code == 422
        assert client.get("/health/live").status_code == 200


def test_an_offer_of_http_2_is_passed_over_and_the_body_kept(address: tuple[str, int]) -> None:
    head = b"POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    head += b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nContent-Length: 7\r\n\r\n"
    for parts in ([head + b"nothing"], [head, b"not", b"hing"]):
        assert b" 400 " in exchange(address, *parts).split(b"\r\n")[0]  # it read the body: that is not JSON
    with httpx.Client(base_url="http://{}:{}".format(*address)) as client:
        offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAB"}
        answer = client.post("/v1/trigger", files={"audio": b"no sound"}, headers=offer)
        assert "recording" in answer.json()["detail"]


class Connection(asyncio.Transport):
    """Notes what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.written.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.written


async def test_a_head_leaves_with_its_body() -> None:
    connection = Connection()
    joined = JoinedHead(connection, asyncio.get_running_loop())
    joined.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    for part in (b"head,", b"body,", b"more"):
        joined.write(part)
    await let_others_run()
    assert connection.written == [b"HTTP/1.1 100 Continue\r\n\r\n", b"head,body,", b"more"]


async def test_a_head_does_not_wait_for_a_body_that_comes_later() -> None:
    connection = Connection()
    joined = JoinedHead(connection, asyncio.get_running_loop())
    joined.write(b"head,")
    await let_others_run()
    assert connection.written == [b"head,"]
    joined.write(b"body,")
    assert connection.written == [b"head,", b"body,"]


async def test_a_head_alone_leaves_before_the_connection_closes() -> None:
    connection = Connection()
    joined = JoinedHead(connection, asyncio.get_running_loop())
    joined.write(b"head,")
    joined.close()
    assert connection.written == [b"head,", b"closed"]
    assert joined.is_closing()


def test_a_small_answer_arrives_in_one_piece(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        for _ in range(5):
            connection.sendall(GET + b"\r\n")
            assert connection.recv(65_536).endswith(b'{"status":"ok"}')
