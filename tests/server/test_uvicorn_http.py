from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from helpers.running import serving
from trigger_api.server.uvicorn_http import MAX_HEAD_BYTES


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
