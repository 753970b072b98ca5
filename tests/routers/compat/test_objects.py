from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from helpers.running import started
from helpers.threads import note_threads
from helpers.tiny_detector import SQUARE, SquareDetector, objects_app, square_picture
from trigger_api.errors import FAILED_IMAGE, MALFORMED_JSON
from trigger_api.routers import deps
from trigger_api.routers.compat import body as compat_body


@pytest.fixture
def model() -> SquareDetector:
    return SquareDetector()


@pytest.fixture
async def client(tmp_path: Path, model: SquareDetector) -> AsyncIterator[httpx.AsyncClient]:
    async with started(objects_app(tmp_path, model)) as http:
        yield http


def requests(*contents: bytes | str, features: object = ...) -> dict[str, Any]:
    """A request of the original detection service."""
    texts = [text if isinstance(text, str) else base64.b64encode(text).decode() for text in contents]
    rest = {} if features is ... else {"features": features}
    return {"requests": [{"image": {"content": text}, **rest} for text in texts]}


async def test_one_response_per_request(client: httpx.AsyncClient) -> None:
    answer = (
        await client.post("/", json=requests(square_picture(), square_picture(square=False), square_picture(80, 40)))
    ).json()
    assert answer["success"] is True
    assert answer["responses"][0] == {"objects": [SQUARE], "width": 40, "height": 20, "error": None}
    assert [len(response["objects"]) for response in answer["responses"]] == [1, 0, 1]
    assert answer["responses"][2]["objects"][0]["box"]["x"] == 40


@pytest.mark.parametrize(
    "features", [..., None, [], [None], [{}], [{"score_th": None, "nms_iou": None, "maxResults": None}]]
)
async def test_absent_or_null_features_have_their_defaults(
    client: httpx.AsyncClient, model: SquareDetector, features: object
) -> None:
    answer = (await client.post("/", json=requests(square_picture(), features=features))).json()
    assert len(answer["responses"][0]["objects"]) == 1
    assert model.limits[-1] == pytest.approx([0.3, 0.4, 0.03, 0.03])


async def test_the_first_feature_counts(client: httpx.AsyncClient, model: SquareDetector) -> None:
    features = [{"type": "OBJECT_LOCALIZATION", "score_th": 0.9, "min_width": 0.5, "maxResults": 1}, {}]
    answer = (await client.post("/", json=requests(square_picture(), features=features))).json()
    assert answer["responses"][0]["objects"] == []
    assert model.limits[-1] == pytest.approx([0.9, 0.4, 0.03, 0.5])


async def test_a_data_url_is_accepted(client: httpx.AsyncClient) -> None:
    url = "data:image/png;base64," + base64.b64encode(square_picture()).decode()
    assert len((await client.post("/", json=requests(url))).json()["responses"][0]["objects"]) == 1


@pytest.mark.parametrize("content", [b"", b"text", square_picture()[:60], "no base64!", "data:image/png;base64,???"])
async def test_a_bad_photo_has_an_error_of_its_own(client: httpx.AsyncClient, content: bytes | str) -> None:
    response = await client.post("/", json=requests(content))
    assert response.status_code == 422
    assert response.json()["error"] == FAILED_IMAGE
    responses = (await client.post("/", json=requests(content, square_picture()))).json()["responses"]
    assert responses[0]["error"] == {"code": 422, "message": FAILED_IMAGE}
    assert (responses[1]["error"], len(responses[1]["objects"])) == (None, 1)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ("{", 400, MALFORMED_JSON),
        ("", 400, MALFORMED_JSON),
        ("[]", 422, "object"),
        ("{}", 422, "`requests` is missing"),
        ('{"requests": []}', 422, "`requests`: "),
        ('{"requests": [{}]}', 422, "`requests[0].image` is missing"),
        ('{"requests": [{"image": {}}]}', 422, "`requests[0].image.content` is missing"),
        (json.dumps({"requests": [{}] * 9}), 422, "`requests[2].image` is missing"),
        (json.dumps(requests(*["x"] * 17)), 422, "`requests`: "),
        (json.dumps(requests("x", features=[{"score_th": 2}])), 422, "`requests[0].features[0].score_th`: "),
        (json.dumps(requests("x", features=[{"maxResults": 1000}])), 422, "`requests[0].features[0].maxResults`: "),
    ],
)
async def test_bad_requests_are_rejected(client: httpx.AsyncClient, body: str, status: int, text: str) -> None:
    response = await client.post("/", content=body)
    assert response.status_code == status
    assert text in response.json()["error"]


async def test_a_token_may_come_in_a_header(tmp_path: Path, model: SquareDetector) -> None:
    async with started(objects_app(tmp_path, model, tokens="secret")) as http:
        assert (await http.post("/", json=requests(square_picture()))).status_code == 401
        answer = await http.post("/", json=requests(square_picture()), headers={"X-Api-Token": "secret"})
        assert answer.status_code == 200


async def test_large_photos_are_decoded_off_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding = note_threads(monkeypatch, deps, "from_base64")
    parsing = note_threads(monkeypatch, compat_body, "_parse")
    contents = [base64.b64encode(square_picture()).decode() + " " * 40_000] * 2
    assert (await client.post("/", json=requests(*contents))).status_code == 200
    assert (parsing, decoding) == (["preprocess"], ["preprocess"] * 2)
