from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from helpers.printed_digits import PrintedDigitsModel, add_digits, png, write
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.settings import Settings

URL = "/v1/digits"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    add_digits(tmp_path / "models")
    settings = Settings(models=tmp_path / "models", bundled=False, auth="open")
    async with started(create_app(settings, loader=lambda path, card: PrintedDigitsModel())) as http:
        yield http


async def test_a_field_that_is_spelt_wrong_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, files={"image": png(write("7"))}, data={"treshold": "0.3"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"loc": ["body", "treshold"], "msg": "there is no such field"}]


async def test_a_second_file_is_refused(client: httpx.AsyncClient) -> None:
    pages = [("image", ("a.png", png(write(text)))) for text in "42"]
    answer = await client.post(URL, files=pages)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "body.image: there may be one only"


@pytest.mark.parametrize("path", ["/v1/trigger", "/v1/digits", "/v1/emotions", "/v1/objects"])
async def test_every_form_is_told_apart(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, data={"model": ["a", "b"], "none": "1"})
    assert answer.json()["detail"] == "body.none: there is no such field; body.model: there may be one only"


async def test_words_may_be_given_often(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/trigger", data={"word": ["a", "b"]})
    assert answer.json()["detail"] == "body.audio: Field required"
