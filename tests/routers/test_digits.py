from __future__ import annotations

import asyncio
import base64
import io
import json
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

from helpers.printed_digits import PrintedDigitsModel, add_digits, png, write
from helpers.running import serving, started
from helpers.threads import note_threads
from trigger_api.app import create_app
from trigger_api.client import AsyncClient, Client
from trigger_api.routers import deps
from trigger_api.routers.compat import body as compat_body
from trigger_api.settings import Settings

URL = "/v1/digits"
TEXT = {"Content-Type": "text/plain"}


def served(folder: Path) -> Settings:
    add_digits(folder / "models")
    return Settings(models=folder / "models", bundled=False, auth="open", max_image_pixels=1_000_000)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with started(create_app(served(tmp_path), loader=lambda path, card: PrintedDigitsModel())) as http:
        yield http


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_a_picture_is_answered_with_every_digit(client: httpx.AsyncClient) -> None:
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
    app = create_app(served(tmp_path), loader=lambda path, card: PrintedDigitsModel())
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
    ("files", "data", "status", "words"),
    [
        ({}, {}, 422, "image"),
        ({"image": b""}, {}, 422, "empty"),
        ({"image": b"digits: 1, 2, 3"}, {}, 415, "no picture"),
        ({"image": png(write("1"))[:200]}, {}, 422, "damaged or truncated"),
        ({"image": png(np.zeros((1_001, 1_000, 3), np.uint8))}, {}, 413, "1000000 pixels"),
        ({"image": png(write("1"))}, {"threshold": "2"}, 422, "threshold"),
        ({"image": png(write("1"))}, {"model": "nix"}, 404, "digits model"),
    ],
)
async def test_what_cannot_be_read_is_told_so(
    client: httpx.AsyncClient, files: dict[str, bytes], data: dict[str, str], status: int, words: str
) -> None:
    response = await client.post(URL, files=files, data=data)
    assert response.status_code == status
    assert words in response.json()["detail"]
    assert response.json()["success"] is False


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("headers", [{}, TEXT])
async def test_the_original_services_answer(client: httpx.AsyncClient, head: str, headers: dict[str, str]) -> None:
    page = write("5")
    body = json.dumps({"image": head + encoded(png(page)), "filename": "5.png"})
    answer = (await client.post("/image-predict", content=body, headers=headers)).json()
    assert answer["img_shape"] == [page.shape[1], page.shape[0]]
    assert answer["prediction"] == 5
    assert [digit["value"] for digit in answer["digits"]] == [5]
    assert answer["numbers"] == ["5"]


async def test_the_original_service_makes_no_guess(client: httpx.AsyncClient) -> None:
    body = {"image": encoded(png(np.full((60, 90, 3), 255, np.uint8)))}
    answer = (await client.post("/image-predict", json=body)).json()
    assert answer == {"img_shape": [90, 60], "prediction": None, "digits": [], "numbers": []}


async def test_the_sample_request_can_be_sent_back(client: httpx.AsyncClient) -> None:
    sample = (await client.get("/image-predict")).json()
    assert (await client.post("/image-predict", json=sample)).json()["prediction"] == 3


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ("{", 400, "failed to parse json, invalid format"),
        ("", 400, "failed to parse json, invalid format"),
        ("[]", 422, "shape"),
        ('{"image": 3}', 422, "shape"),
        ('{"image": "%%%"}', 422, "failed to process image, try another image"),
        ('{"image": "\\ud800"}', 400, "failed to parse json"),
        ('{"image": ""}', 422, "empty"),
        ('{"image": "aGVsbG8="}', 415, "no picture"),
    ],
)
async def test_bad_requests_to_the_original_service(
    client: httpx.AsyncClient, content: str, status: int, words: str
) -> None:
    response = await client.post("/image-predict", content=content)
    assert response.status_code == status
    assert words in response.json()["error"]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_no_broken_picture_breaks_the_service(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    PIL.Image.fromarray(write("3", size=20, margin=6)).save(buffer, kind)
    whole = buffer.getvalue()
    with TestClient(create_app(served(tmp_path), loader=lambda path, card: PrintedDigitsModel())) as client:
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


@pytest.mark.parametrize(("length", "thread"), [(0, "MainThread"), (40_000, "preprocess")])
async def test_a_large_body_is_decoded_beside_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, length: int, thread: str
) -> None:
    decoding = note_threads(monkeypatch, deps, "from_base64")
    parsing = note_threads(monkeypatch, compat_body, "_parsed")
    body = {"image": encoded(png(write("3"))) + " " * length, "filename": "3.png"}
    assert (await client.post("/image-predict", json=body)).json()["prediction"] == 3
    assert (parsing, decoding) == ([thread], [thread])
