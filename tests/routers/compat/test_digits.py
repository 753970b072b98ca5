from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from helpers.printed_digits import digits_app, png, write
from helpers.running import started
from helpers.threads import note_threads
from trigger_api.routers import deps
from trigger_api.routers.compat import body as compat_body

TEXT = {"Content-Type": "text/plain"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with started(digits_app(tmp_path)) as http:
        yield http


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("headers", [{}, TEXT])
async def test_a_digit_is_returned(client: httpx.AsyncClient, head: str, headers: dict[str, str]) -> None:
    page = write("5")
    body = json.dumps({"image": head + encoded(png(page)), "filename": "5.png"})
    answer = (await client.post("/image-predict", content=body, headers=headers)).json()
    assert answer["img_shape"] == [page.shape[1], page.shape[0]]
    assert answer["prediction"] == 5
    assert [digit["value"] for digit in answer["digits"]] == [5]
    assert answer["numbers"] == ["5"]


async def test_blank_paper_has_no_prediction(client: httpx.AsyncClient) -> None:
    body = {"image": encoded(png(np.full((60, 90, 3), 255, np.uint8)))}
    answer = (await client.post("/image-predict", json=body)).json()
    assert answer == {"img_shape": [90, 60], "prediction": None, "digits": [], "numbers": []}


async def test_the_sample_request_can_be_sent_back(client: httpx.AsyncClient) -> None:
    sample = (await client.get("/image-predict")).json()
    assert (await client.post("/image-predict", json=sample)).json()["prediction"] == 3


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        ("{", 400, "failed to parse json, invalid format"),
        ("", 400, "failed to parse json, invalid format"),
        ("[]", 422, "body: this must be a JSON object"),
        ("{}", 422, "`image` is missing"),
        ('{"image": 3}', 422, "`image`: Input should be a valid string"),
        ('{"image": "%%%"}', 422, "failed to process image, try another image"),
        ('{"image": "\\ud800"}', 400, "failed to parse json"),
        ('{"image": ""}', 422, "empty"),
        ('{"image": "aGVsbG8="}', 415, "not a supported picture"),
    ],
)
async def test_bad_requests_are_rejected(client: httpx.AsyncClient, content: str, status: int, text: str) -> None:
    response = await client.post("/image-predict", content=content)
    assert response.status_code == status
    assert text in response.json()["error"]


@pytest.mark.parametrize(("length", "thread"), [(0, "MainThread"), (40_000, "preprocess")])
async def test_a_large_body_is_decoded_off_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, length: int, thread: str
) -> None:
    decoding = note_threads(monkeypatch, deps, "from_base64")
    parsing = note_threads(monkeypatch, compat_body, "_parse")
    body = {"image": encoded(png(write("3"))) + " " * length, "filename": "3.png"}
    assert (await client.post("/image-predict", json=body)).json()["prediction"] == 3
    assert (parsing, decoding) == ([thread], [thread])
