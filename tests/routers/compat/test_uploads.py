"""The upload page of the original digit service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from helpers.printed_digits import digits_app, png, write
from helpers.running import started

URL = "/upload-image"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with started(digits_app(tmp_path)) as http:
        yield http


async def test_the_form_is_shown(client: httpx.AsyncClient) -> None:
    page = await client.get(URL)
    assert 'enctype="multipart/form-data"' in page.text
    assert "Prediction" not in page.text


async def test_a_picture_is_shown_with_its_name_and_the_digit(client: httpx.AsyncClient) -> None:
    page = await client.post(URL, files={"image": ("<b>five.png", png(write("5")), "image/png")})
    assert page.status_code == 200
    assert '<p class="figure">5</p>' in page.text
    assert "<code>&lt;b&gt;five.png</code>" in page.text
    assert 'src="data:image/jpeg;base64,' in page.text
    assert "Content-Security-Policy" in page.headers


async def test_a_picture_without_digits_is_shown_too(client: httpx.AsyncClient) -> None:
    page = await client.post(URL, files={"image": ("empty.png", png(write("")))})
    assert '<p class="figure">–</p>' in page.text


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        ({"image": ("", b"")}, 422, "Choose a picture first."),
        ({"other": ("a.png", b"x")}, 422, "Choose a picture first."),
        ({"image": (None, "a.png")}, 422, "Choose a picture first."),
        ({"image": ("a.txt", b"just a text")}, 415, "a picture"),
        ({"image": ("a.png", b"")}, 422, "The picture is empty"),
    ],
)
async def test_what_was_wrong_is_said(
    client: httpx.AsyncClient, files: dict[str, tuple[str | None, bytes]], status: int, words: str
) -> None:
    page = await client.post(URL, files=files)
    assert page.status_code == status
    assert 'class="alert" role="alert"' in page.text
    assert words in page.text


async def test_no_form_at_all_chooses_nothing(client: httpx.AsyncClient) -> None:
    assert "Choose a picture first." in (await client.post(URL)).text


async def test_without_a_history_there_are_no_uploads(client: httpx.AsyncClient) -> None:
    answer = await client.get("/uploads/five.png")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
