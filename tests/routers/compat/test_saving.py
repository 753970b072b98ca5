"""The original clients of the digit page and of the emotion site, unchanged, and what they sent read back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from helpers.people import PASSWORD
from helpers.printed_digits import digits_app, png, write
from helpers.running import serving
from helpers.tiny_emotions import MODELS, astronaut, emotions_app, encoded, red

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def _database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_DATABASE_URL", f"sqlite:///{tmp_path}/d.sqlite3")


def browser(app: FastAPI) -> Iterator[httpx.Client]:
    """A browser in which somebody has logged in."""
    with serving(app) as address, httpx.Client(base_url=f"http://{address}", timeout=60) as client:
        body = {"name": "ada", "password": PASSWORD}
        assert client.post("/v1/accounts", json=body).status_code == 201
        assert client.post("/v1/sessions", json=body).status_code == 201
        yield client


@pytest.fixture
def digits(tmp_path: Path, _database: None) -> Iterator[httpx.Client]:
    yield from browser(digits_app(tmp_path))


@pytest.fixture
def emotions(tmp_path: Path, _database: None) -> Iterator[httpx.Client]:
    yield from browser(emotions_app(tmp_path / "models", MODELS))


def test_the_digit_page(digits: httpx.Client) -> None:
    picture = png(write("42"))
    # The page reads the file as a data URL, and posts it as text.
    image = "data:image/png;base64," + base64.b64encode(picture).decode()
    body = json.dumps({"image": image, "filename": "house number.png"})
    answer = digits.post("/image-predict", content=body, headers={"Content-Type": "text/plain"}).json()
    assert (answer["prediction"], answer["saved"]) == (4, True)
    (item,) = digits.get("/v1/history").json()["items"]
    assert (item["id"], item["file_name"], item["labels"]) == (answer["history_id"], "house number.png", ["42"])
    assert (item["path"], item["media_type"], item["task"]) == ("/image-predict", "image/png", "digits")
    assert digits.get(f"/v1/history/{item['id']}").json()["answer"]["numbers"] == ["42"]
    assert digits.get(f"/v1/history/{item['id']}/media").content == picture
    assert "saved" not in digits.post("/image-predict?save=false", content=body).json()
    digits.cookies.clear()
    assert "saved" not in digits.post("/image-predict", content=body).json()  # nobody is signed in


@pytest.mark.parametrize("model", ["inception-resnet", "mobilenetv2", "yolo3"])
def test_the_emotion_site(emotions: httpx.Client, model: str) -> None:
    photo = encoded(red() if model == "yolo3" else astronaut())
    body = {"image": base64.b64encode(photo).decode(), "model": model, "img_name": "me <at> work.png"}
    answer = emotions.post("/predict_upload_api", json=body).json()
    assert (answer["found"], answer["saved"]) == (True, True)
    entry = emotions.get(f"/v1/history/{answer['history_id']}").json()
    assert (entry["file_name"], entry["model"], entry["path"]) == ("me <at> work.png", model, "/predict_upload_api")
    (label,) = entry["labels"]
    assert label == answer["faces"][0]["prediction"][0]["emotion"] == entry["answer"]["faces"][0]["emotion"]
    assert "crop" not in entry["answer"]["faces"][0]
    assert emotions.get(f"/v1/history/{answer['history_id']}/media").content == photo
    for path in ("/predict_api", "/predict_img_only_api"):  # which kept nothing
        assert "saved" not in emotions.post(path, json=body).json()
        assert emotions.post(f"{path}?save=true", json=body).json()["saved"]


def test_a_name_that_is_no_name(emotions: httpx.Client) -> None:
    body = {"image": base64.b64encode(encoded(astronaut())).decode(), "img_name": {"no": "name"}}
    answer = emotions.post("/predict_upload_api", json=body).json()
    assert emotions.get(f"/v1/history/{answer['history_id']}").json()["file_name"] is None


def test_photos_are_kept_one_by_one(emotions: httpx.Client) -> None:
    files = {"image": ("a.png", encoded(astronaut()))}
    answer = emotions.post("/v1/emotions?save=true", files=files, data={"annotated": "true", "crops": "true"}).json()
    assert answer["annotated"]
    kept = emotions.get(f"/v1/history/{answer['history_id']}").json()["answer"]
    assert "annotated" not in kept
    assert kept["faces"][0]["box"] == answer["faces"][0]["box"]
