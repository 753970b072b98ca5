from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from helpers.printed_digits import digits_app, png, write
from helpers.running import started

URL = "/v1/digits"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with started(digits_app(tmp_path)) as http:
        yield http


async def test_a_misspelt_field_is_rejected(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, files={"image": png(write("7"))}, data={"treshold": "0.3"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"loc": ["body", "treshold"], "msg": "unknown field"}]


async def test_a_second_file_is_rejected(client: httpx.AsyncClient) -> None:
    pages = [("image", ("a.png", png(write(text)))) for text in "42"]
    answer = await client.post(URL, files=pages)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "body.image: may be given only once"


@pytest.mark.parametrize("path", ["/v1/trigger", "/v1/digits", "/v1/emotions", "/v1/objects"])
async def test_every_form_is_strict(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, data={"model": ["a", "b"], "none": "1"})
    assert answer.json()["detail"] == "body.none: unknown field; body.model: may be given only once"


async def test_words_may_be_given_several_times(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/trigger", data={"word": ["a", "b"]})
    assert answer.json()["detail"] == "body.audio: Field required"
