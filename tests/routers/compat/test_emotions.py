from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import httpx
import numpy as np
import PIL.Image
import pytest

from helpers.running import serving
from helpers.threads import note_threads
from helpers.tiny_emotions import (
    LABELS,
    MODELS,
    astronaut,
    emotions_app,
    encoded,
    red,
)
from trigger_api.errors import FAILED_IMAGE, MALFORMED_JSON
from trigger_api.routers import deps
from trigger_api.routers.compat import body as compat_body

PATHS = ("/predict_api", "/predict_upload_api", "/predict_img_only_api")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(emotions_app(tmp_path_factory.mktemp("models"), MODELS)) as address:
        yield f"http://{address}"


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as http:
        yield http


def picture(text: str) -> PIL.Image.Image:
    """Open a JPEG file in base64."""
    file = PIL.Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    assert file.format == "JPEG"
    return file


def test_faces_and_the_annotated_photo_are_returned(client: httpx.Client) -> None:
    body = {"image": base64.b64encode(encoded(astronaut())).decode(), "model": "mobilenetv2"}
    answer = client.post("/predict_api", json=body).json()
    assert sorted(answer) == ["faces", "found", "image"]
    assert answer["found"] is True
    assert picture(answer["image"]).size == (512, 512)
    (face,) = answer["faces"]
    assert picture(face["face"]).width > 60
    probabilities = [row["probability"] for row in face["prediction"]]
    assert {row["emotion"] for row in face["prediction"]} == set(LABELS)
    assert probabilities == sorted(probabilities, reverse=True)
    assert client.post("/predict_upload_api", json={**body, "img_name": "me.jpg"}).json() == answer


def test_the_annotated_photo_alone_is_returned(client: httpx.Client) -> None:
    url = "data:image/png;base64," + base64.b64encode(encoded(astronaut())).decode()
    answer = client.post("/predict_img_only_api", json={"image": url}).json()
    assert sorted(answer) == ["found", "image"]
    assert picture(answer["image"]).size == (512, 512)


@pytest.mark.parametrize("path", PATHS)
def test_a_photo_without_faces(client: httpx.Client, path: str) -> None:
    body = {"image": base64.b64encode(encoded(np.zeros((40, 40, 3), np.uint8))).decode(), "model": "yolo3"}
    assert client.post(path, json=body).json() == {"found": False}


@pytest.mark.parametrize("model", ["vgg", "", None, 7, ["yolo3"], {"a": 1}])
def test_an_unknown_model_means_the_default(client: httpx.Client, model: object) -> None:
    model_used = MODELS["inception-resnet"]
    model_used.batches.clear()
    body = {"image": base64.b64encode(encoded(astronaut())).decode(), "model": model}
    assert client.post("/predict_api", json=body).json()["found"] is True
    assert model_used.batches


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"model": "yolo3"}', '{"image": 3}'])
def test_bad_requests_are_rejected(client: httpx.Client, path: str, body: str) -> None:
    response = client.post(path, content=body)
    assert response.status_code == 400
    assert response.json()["error"] == MALFORMED_JSON


def test_the_detail_names_the_member(client: httpx.Client) -> None:
    for body, detail in (("{}", "`image` is missing"), ('{"image": 3}', "`image`: Input should be a valid string")):
        answer = client.post("/predict_api", content=body).json()
        assert (answer["error"], answer["detail"]) == (MALFORMED_JSON, detail)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("image", ["", "no base64!", base64.b64encode(b"text").decode()])
def test_bad_pictures_are_rejected(client: httpx.Client, path: str, image: str) -> None:
    response = client.post(path, json={"image": image, "model": "mobilenetv2"})
    assert response.status_code == 422
    assert response.json()["error"] == FAILED_IMAGE


@pytest.mark.parametrize("path", PATHS)
def test_a_large_body_is_decoded_off_the_event_loop(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    decoding = note_threads(monkeypatch, deps, "from_base64")
    parsing = note_threads(monkeypatch, compat_body, "_parse")
    body = {"image": base64.b64encode(encoded(red())).decode() + " " * 40_000, "model": "yolo3"}
    assert client.post(path, json=body).json()["found"] is True
    assert (parsing, decoding) == (["preprocess"], ["preprocess"])
