from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.running import started
from helpers.threads import note_threads
from helpers.tiny_detector import SquareDetector, add_squares, drawn
from trigger_api import inference
from trigger_api.app import create_app
from trigger_api.client import AsyncClient
from trigger_api.errors import FAILED_IMAGE, MALFORMED_JSON
from trigger_api.routers import deps
from trigger_api.routers.compat import body as compat_body
from trigger_api.settings import Settings
from trigger_api.tasks.objects import task as task

URL = "/v1/objects"
SQUARE = {
    "label": "square",
    "score": 0.75,
    "box": {"x": 20, "y": 0, "width": 20, "height": 20},
    "normalized": {"x": 0.5, "y": 0.0, "width": 0.5, "height": 1.0},
}


@pytest.fixture
def network() -> SquareDetector:
    return SquareDetector()


@pytest.fixture
def app(tmp_path: Path, network: SquareDetector) -> FastAPI:
    add_squares(tmp_path / "models" / "squares")
    settings = Settings(models=tmp_path / "models", bundled=False, max_image_pixels=1_000_000)
    return create_app(settings, loader=lambda path, card: network)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with started(app) as http:
        yield http


def asked(*contents: bytes | str, features: object = ...) -> dict[str, Any]:
    """A request of the original detection service."""
    texts = [text if isinstance(text, str) else base64.b64encode(text).decode() for text in contents]
    rest = {} if features is ... else {"features": features}
    return {"requests": [{"image": {"content": text}, **rest} for text in texts]}


async def test_a_photo_is_answered_with_boxes(client: httpx.AsyncClient) -> None:
    answer = (await client.post(URL, files={"image": drawn()})).json()
    assert answer == {
        "detected": True, "objects": [SQUARE], "width": 40, "height": 20, "model": "squares", "version": "2",
    }  # fmt: skip
    answer = (await client.post(URL, files={"image": drawn(square=False)})).json()
    assert (answer["detected"], answer["objects"]) == (False, [])


async def test_boxes_are_in_pixels_of_the_photo_as_it_was_sent(client: httpx.AsyncClient) -> None:
    (found,) = (await client.post(URL, files={"image": drawn(1000, 300)})).json()["objects"]
    assert found["box"] == pytest.approx({"x": 500, "y": 0, "width": 500, "height": 300}, abs=20)


async def test_every_limit_reaches_the_model(client: httpx.AsyncClient, network: SquareDetector) -> None:
    form = {"score_th": "0.8", "nms_iou": "0.5", "min_height": "0.1", "min_width": "0.2", "maxResults": "5"}
    answer = (await client.post(URL, files={"image": drawn()}, data=form)).json()
    assert answer["objects"] == []
    assert network.limits[-1] == pytest.approx([0.8, 0.5, 0.1, 0.2])
    await client.post(URL, files={"image": drawn()})
    assert network.limits[-1] == pytest.approx([0.3, 0.4, 0.03, 0.03])


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
async def test_limits_have_limits(client: httpx.AsyncClient, form: dict[str, str], status: int) -> None:
    response = await client.post(URL, files={"image": drawn()}, data=form)
    assert response.status_code == status
    assert response.json()["success"] is False


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 422), (b"no picture", 415), (drawn()[:60], 422), (drawn(2000, 1000), 413)]
)
async def test_what_is_no_photo_is_told_so(client: httpx.AsyncClient, content: bytes, status: int) -> None:
    response = await client.post(URL, files={"image": ("photo.png", content)})
    assert response.status_code == status
    assert (await client.post(URL)).status_code == 422


async def test_the_client(app: FastAPI) -> None:
    async with started(app), AsyncClient("http://localhost", transport=httpx.ASGITransport(app)) as service:
        answer = await service.objects(drawn(), score_th=0.5, max_results=3)
        assert [found.label for found in answer.objects] == ["square"]
        assert (await service.objects(drawn(), score_th=0.8)).detected is False


class TestTheOriginalService:
    async def test_one_response_a_request(self, client: httpx.AsyncClient) -> None:
        answer = (await client.post("/", json=asked(drawn(), drawn(square=False), drawn(80, 40)))).json()
        assert answer["success"] is True
        assert answer["responses"][0] == {"objects": [SQUARE], "width": 40, "height": 20, "error": None}
        assert [len(response["objects"]) for response in answer["responses"]] == [1, 0, 1]
        assert answer["responses"][2]["objects"][0]["box"]["x"] == 40

    @pytest.mark.parametrize(
        "features", [..., None, [], [None], [{}], [{"score_th": None, "nms_iou": None, "maxResults": None}]]
    )
    async def test_what_is_absent_or_null_has_its_default(
        self, client: httpx.AsyncClient, network: SquareDetector, features: object
    ) -> None:
        answer = (await client.post("/", json=asked(drawn(), features=features))).json()
        assert len(answer["responses"][0]["objects"]) == 1
        assert network.limits[-1] == pytest.approx([0.3, 0.4, 0.03, 0.03])

    async def test_the_first_feature_counts(self, client: httpx.AsyncClient, network: SquareDetector) -> None:
        features = [{"type": "OBJECT_LOCALIZATION", "score_th": 0.9, "min_width": 0.5, "maxResults": 1}, {}]
        answer = (await client.post("/", json=asked(drawn(), features=features))).json()
        assert answer["responses"][0]["objects"] == []
        assert network.limits[-1] == pytest.approx([0.9, 0.4, 0.03, 0.5])

    async def test_a_data_url(self, client: httpx.AsyncClient) -> None:
        url = "data:image/png;base64," + base64.b64encode(drawn()).decode()
        assert len((await client.post("/", json=asked(url))).json()["responses"][0]["objects"]) == 1

    @pytest.mark.parametrize("content", [b"", b"text", drawn()[:60], "no base64!", "data:image/png;base64,???"])
    async def test_a_bad_photo(self, client: httpx.AsyncClient, content: bytes | str) -> None:
        response = await client.post("/", json=asked(content))
        assert response.status_code == 422
        assert response.json()["error"] == FAILED_IMAGE
        responses = (await client.post("/", json=asked(content, drawn()))).json()["responses"]
        assert responses[0]["error"] == {"code": 422, "message": FAILED_IMAGE}
        assert (responses[1]["error"], len(responses[1]["objects"])) == (None, 1)

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            ("{", 400, MALFORMED_JSON),
            ("", 400, MALFORMED_JSON),
            ("[]", 422, "shape"),
            ("{}", 422, "shape"),
            ('{"requests": []}', 422, "shape"),
            ('{"requests": [{}]}', 422, "shape"),
            (json.dumps(asked(*["x"] * 17)), 422, "shape"),
            (json.dumps(asked("x", features=[{"score_th": 2}])), 422, "shape"),
            (json.dumps(asked("x", features=[{"maxResults": 1000}])), 422, "shape"),
        ],
    )
    async def test_bad_requests(self, client: httpx.AsyncClient, body: str, status: int, words: str) -> None:
        response = await client.post("/", content=body)
        assert response.status_code == status
        assert words in response.json()["error"]

    async def test_a_token(self, tmp_path: Path, network: SquareDetector) -> None:
        add_squares(tmp_path / "models" / "squares")
        settings = Settings(models=tmp_path / "models", bundled=False, tokens="secret")
        async with started(create_app(settings, loader=lambda path, card: network)) as http:
            assert (await http.post("/", json=asked(drawn()))).status_code == 401
            answer = await http.post("/", json=asked(drawn()), headers={"X-Api-Token": "secret"})
            assert answer.status_code == 200


def broken(data: st.DataObject) -> bytes:
    """A picture with bytes changed, cut off or put in."""
    whole = bytearray(drawn(kind=data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP"]))))
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
            answers = [await client.post(URL, files={"image": content}), await client.post("/", json=asked(content))]
            return [answer.status_code for answer in answers]

        return asyncio.run_coroutine_threadsafe(both(), loop).result(30)

    @given(st.data())
    @hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    def attack(data: st.DataObject) -> None:
        assert max(send(broken(data))) < 500

    await asyncio.to_thread(attack)


async def test_large_photos_are_decoded_beside_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding = note_threads(monkeypatch, deps, "from_base64")
    parsing = note_threads(monkeypatch, compat_body, "_parsed")
    contents = [base64.b64encode(drawn()).decode() + " " * 40_000] * 2
    assert (await client.post("/", json=asked(*contents))).status_code == 200
    assert (parsing, decoding) == (["preprocess"], ["preprocess"] * 2)


@pytest.mark.parametrize(("few", "thread"), [(32_768, "MainThread"), (0, "preprocess")])
async def test_a_large_answer_is_read_beside_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, few: int, thread: str
) -> None:
    monkeypatch.setattr(inference, "_FEW_BYTES", few)
    threads = note_threads(monkeypatch, task, "read")
    assert (await client.post(URL, files={"image": drawn()})).json()["objects"] == [SQUARE]
    assert threads == [thread]
