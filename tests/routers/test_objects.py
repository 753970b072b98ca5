from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.running import started
from helpers.threads import note_threads
from helpers.tiny_detector import SQUARE, SquareDetector, objects_app, square_picture
from trigger_api import inference
from trigger_api.client import AsyncClient
from trigger_api.tasks.objects import task as task

URL = "/v1/objects"


@pytest.fixture
def model() -> SquareDetector:
    return SquareDetector()


@pytest.fixture
def app(tmp_path: Path, model: SquareDetector) -> FastAPI:
    return objects_app(tmp_path, model)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with started(app) as http:
        yield http


async def test_objects_of_a_photo_are_returned(client: httpx.AsyncClient) -> None:
    answer = (await client.post(URL, files={"image": square_picture()})).json()
    assert answer == {
        "detected": True, "objects": [SQUARE], "width": 40, "height": 20, "model": "squares", "version": "2",
    }  # fmt: skip
    answer = (await client.post(URL, files={"image": square_picture(square=False)})).json()
    assert (answer["detected"], answer["objects"]) == (False, [])


async def test_boxes_are_in_pixels_of_the_original_photo(client: httpx.AsyncClient) -> None:
    (found,) = (await client.post(URL, files={"image": square_picture(1000, 300)})).json()["objects"]
    assert found["box"] == pytest.approx({"x": 500, "y": 0, "width": 500, "height": 300}, abs=20)


async def test_every_limit_reaches_the_model(client: httpx.AsyncClient, model: SquareDetector) -> None:
    form = {"score_th": "0.8", "nms_iou": "0.5", "min_height": "0.1", "min_width": "0.2", "maxResults": "5"}
    answer = (await client.post(URL, files={"image": square_picture()}, data=form)).json()
    assert answer["objects"] == []
    assert model.limits[-1] == pytest.approx([0.8, 0.5, 0.1, 0.2])
    await client.post(URL, files={"image": square_picture()})
    assert model.limits[-1] == pytest.approx([0.3, 0.4, 0.03, 0.03])


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"score_th": "1.1"}, 422),
        ({"nms_iou": "nan"}, 422),
        ({"min_height": "-0.1"}, 422),
        ({"min_width": "inf"}, 422),
        ({"maxResults": "0"}, 422),
        ({"maxResults": "101"}, 422),
        ({"model": "nix"}, 404),
    ],
)
async def test_limits_out_of_range_are_rejected(client: httpx.AsyncClient, form: dict[str, str], status: int) -> None:
    response = await client.post(URL, files={"image": square_picture()}, data=form)
    assert response.status_code == status
    assert response.json()["success"] is False


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 422), (b"no picture", 415), (square_picture()[:60], 422), (square_picture(2000, 1000), 413)],
)
async def test_bad_photos_are_rejected(client: httpx.AsyncClient, content: bytes, status: int) -> None:
    response = await client.post(URL, files={"image": ("photo.png", content)})
    assert response.status_code == status
    assert (await client.post(URL)).status_code == 422


async def test_the_client(app: FastAPI) -> None:
    async with started(app), AsyncClient("http://localhost", transport=httpx.ASGITransport(app)) as service:
        answer = await service.objects(square_picture(), score_th=0.5, max_results=3)
        assert [found.label for found in answer.objects] == ["square"]
        assert (await service.objects(square_picture(), score_th=0.8)).detected is False


def broken(data: st.DataObject) -> bytes:
    """A picture with bytes changed, removed or inserted."""
    whole = bytearray(square_picture(kind=data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP"]))))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        if not whole:
            break
    return bytes(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)


async def test_broken_pictures_never_break_the_service(client: httpx.AsyncClient) -> None:
    loop = asyncio.get_running_loop()

    def send(content: bytes) -> list[int]:
        async def both() -> list[int]:
            body = {"requests": [{"image": {"content": base64.b64encode(content).decode()}}]}
            answers = [await client.post(URL, files={"image": content}), await client.post("/", json=body)]
            return [answer.status_code for answer in answers]

        return asyncio.run_coroutine_threadsafe(both(), loop).result(30)

    @given(st.data())
    @hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    def attack(data: st.DataObject) -> None:
        assert max(send(broken(data))) < 500

    await asyncio.to_thread(attack)


@pytest.mark.parametrize(("few", "thread"), [(32_768, "MainThread"), (0, "preprocess")])
async def test_a_large_output_is_postprocessed_off_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, few: int, thread: str
) -> None:
    monkeypatch.setattr(inference, "_MIN_BYTES", few)
    threads = note_threads(monkeypatch, task, "postprocess")
    assert (await client.post(URL, files={"image": square_picture()})).json()["objects"] == [SQUARE]
    assert threads == [thread]
