from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from helpers.running import started
from trigger_api.app import create_app
from trigger_api.settings import Settings

TEXTS = {"word": "activate " * 500}


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(bundled=False, models=(), max_body_bytes=100_000, auth="open"))
    echo(app)
    async with started(app, ready=False) as http:
        yield http


def echo(app: FastAPI) -> None:
    @app.post("/echo")
    async def answer(body: dict[str, str]) -> dict[str, str]:
        return body


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
    ],
)
async def test_a_packed_body_is_read_as_a_plain_one(client: httpx.AsyncClient, encoding: str, pack: object) -> None:
    assert callable(pack)
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = await client.post("/echo", content=pack(json.dumps(TEXTS).encode()), headers=headers)
    assert (answer.status_code, answer.json()) == (200, TEXTS)


async def test_a_body_that_comes_in_pieces(client: httpx.AsyncClient) -> None:
    packed = gzip.compress(json.dumps(TEXTS).encode())

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(packed), 7):
            yield packed[start : start + 7]

    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert (await client.post("/echo", content=pieces(), headers=headers)).json() == TEXTS


@pytest.mark.parametrize(
    ("content", "encoding", "status", "words"),
    [
        (gzip.compress(bytes(10_000_000), mtime=0), "gzip", 413, "unpacks to more"),
        (gzip.compress(b"{}" * 99, mtime=0)[:-9], "gzip", 400, "cut off"),
        (b"{}", "gzip", 400, "not what its Content-Encoding says"),
        (b"", "gzip", 400, "cut off"),
        (b"{}", "br", 415, "br is not supported: send gzip, deflate"),
        (b"{}", "gzip, gzip", 415, "not supported"),
    ],
)
async def test_what_cannot_be_unpacked_is_refused(
    client: httpx.AsyncClient, content: bytes, encoding: str, status: int, words: str
) -> None:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = await client.post("/echo", content=content, headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
