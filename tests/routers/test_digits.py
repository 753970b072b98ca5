from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from helpers.printed_digits import digits_app, png, write
from helpers.running import serving, started
from trigger_api.client import AsyncClient, Client

URL = "/v1/digits"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with started(digits_app(tmp_path)) as http:
        yield http


async def test_every_digit_of_a_picture_is_returned(client: httpx.AsyncClient) -> None:
    page = write("42   7")
    answer = (await client.post(URL, files={"image": png(page)})).json()
    assert answer["detected"] is True
    assert answer["lines"] == ["427"]
    assert answer["numbers"] == ["42", "7"]
    assert [(digit["value"], digit["line"], digit["number"]) for digit in answer["digits"]] == [
        (4, 0, 0),
        (2, 0, 0),
        (7, 0, 1),
    ]
    for digit in answer["digits"]:
        assert digit["score"] == digit["probabilities"][digit["value"]] == max(digit["probabilities"])
        assert digit["box"]["x"] + digit["box"]["width"] <= page.shape[1]
    assert (answer["width"], answer["height"]) == (page.shape[1], page.shape[0])
    assert (answer["model"], answer["version"]) == ("printed", "7")


def test_both_clients_read_digits(tmp_path: Path) -> None:
    app = digits_app(tmp_path)
    picture = tmp_path / "42.png"
    picture.write_bytes(png(write("42")))

    async def ask(url: str) -> list[str]:
        async with AsyncClient(url) as service:
            return (await service.digits(str(picture), threshold=0.4)).lines

    with serving(app) as address:
        assert asyncio.run(ask(f"http://{address}")) == ["42"]
        with Client(f"http://{address}") as service:
            assert service.digits(picture.read_bytes(), model="printed", version="7").numbers == ["42"]
            assert service.digits(io.BytesIO(picture.read_bytes())).lines == ["42"]


async def test_blank_paper_has_no_digits(client: httpx.AsyncClient) -> None:
    answer = (await client.post(URL, files={"image": png(np.full((60, 90, 3), 255, np.uint8))})).json()
    assert (answer["detected"], answer["digits"], answer["numbers"], answer["lines"]) == (False, [], [], [])


@pytest.mark.parametrize(
    ("files", "data", "status", "text"),
    [
        ({}, {}, 422, "image"),
        ({"image": b""}, {}, 422, "empty"),
        ({"image": b"digits: 1, 2, 3"}, {}, 415, "not a supported picture"),
        ({"image": png(write("1"))[:200]}, {}, 422, "damaged or truncated"),
        ({"image": png(np.zeros((1_001, 1_000, 3), np.uint8))}, {}, 413, "1000000 pixels"),
        ({"image": png(write("1"))}, {"threshold": "2"}, 422, "threshold"),
        ({"image": png(write("1"))}, {"model": "nix"}, 404, "digits model"),
    ],
)
async def test_bad_requests_are_rejected(
    client: httpx.AsyncClient, files: dict[str, bytes], data: dict[str, str], status: int, text: str
) -> None:
    response = await client.post(URL, files=files, data=data)
    assert response.status_code == status
    assert text in response.json()["detail"]
    assert response.json()["success"] is False


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_broken_pictures_never_break_the_service(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    PIL.Image.fromarray(write("3", size=20, margin=6)).save(buffer, kind)
    whole = buffer.getvalue()
    with TestClient(digits_app(tmp_path)) as client:
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.002)

        @given(st.data())
        @settings(max_examples=60, deadline=None)
        def attack(draw: st.DataObject) -> None:
            data = bytearray(whole)
            for _ in range(draw.draw(st.integers(0, 6))):
                data[draw.draw(st.integers(0, len(data) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
            cut = draw.draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
            response = client.post(URL, files={"image": bytes(data[:cut])})
            assert response.status_code in {200, 413, 415, 422}, response.text

        attack()
