from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from helpers.running import started
from trigger_api.app import create_app
from trigger_api.settings import Settings

TEXT = {"word": "Zoë in Köln"}
BODY = json.dumps(TEXT, ensure_ascii=False)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(bundled=False, models=(), auth="open"))

    @app.post("/echo")
    async def echo(body: dict[str, str]) -> dict[str, str]:
        return body

    async with started(app, ready=False) as http:
        yield http


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-16-le", ""),
        ("utf-32-be", ""),
        ("utf-8", "; charset=UTF-8"),
        ("latin-1", "; charset=ISO-8859-1"),
        ("cp1252", ';Charset="windows-1252"'),
        ("utf-16-le", "; charset=utf-16le"),
    ],
)
async def test_json_in_another_charset_is_read(client: httpx.AsyncClient, encoding: str, charset: str) -> None:
    headers = {"Content-Type": f"application/json{charset}"}
    answer = await client.post("/echo", content=BODY.encode(encoding), headers=headers)
    assert (answer.status_code, answer.json()) == (200, TEXT)


async def test_a_character_may_be_cut_between_two_pieces(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        body = BODY.encode("utf-16")
        for start in range(0, len(body), 5):
            yield body[start : start + 5]

    answer = await client.post("/echo", content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.json() == TEXT


@pytest.mark.parametrize(
    ("content", "charset", "status", "words"),
    [
        (BODY.encode("latin-1"), "", 400, "not in UTF-8: send JSON in UTF-8, or name its charset"),
        (BODY.encode("latin-1"), "; charset=utf-8", 400, "not in utf-8, as its Content-Type says"),
        (BODY.encode()[:-9], "; charset=ascii", 400, "not in ascii"),
        (BODY.encode(), "; charset=utf-7", 415, "charset=utf-7 is not supported: send JSON in UTF-8"),
        (BODY.encode(), "; charset=idna", 415, "not supported"),
        (BODY.encode(), "; charset=iso-8859-99", 415, "not supported"),
    ],
)
async def test_what_cannot_be_recoded_is_told_so(
    client: httpx.AsyncClient, content: bytes, charset: str, status: int, words: str
) -> None:
    headers = {"Content-Type": f"application/json{charset}"}
    answer = await client.post("/echo", content=content, headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize("path", ["/api", "/v2/models/any/infer"])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", ""])
async def test_so_is_a_body_of_another_type(client: httpx.AsyncClient, path: str, kind: str) -> None:
    answer = await client.post(path, content=BODY.encode("latin-1"), headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "not in UTF-8" in answer.json()["error"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
async def test_a_body_may_come_in_pieces_of_any_size(client: httpx.AsyncClient, encoding: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in BODY.encode(encoding):
            yield bytes([byte])

    response = await client.post("/echo", content=pieces(), headers={"Content-Type": "application/json"})
    assert response.json() == TEXT
