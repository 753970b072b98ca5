from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.running import serving
from helpers.threads import note_threads
from helpers.tiny_emotions import (
    FACE,
    LABELS,
    BrightnessClassifier,
    RedDetector,
    add_detector,
    add_emotions,
    astronaut,
    crowd,
    encoded,
    mood_card,
    red,
    red_card,
)
from trigger_api.app import create_app
from trigger_api.client import Client
from trigger_api.errors import FAILED_IMAGE, MALFORMED_JSON
from trigger_api.model_card import ModelCard
from trigger_api.routers import deps
from trigger_api.routers.compat import body as compat_body
from trigger_api.runtimes import LoadedModel, LoadOptions, load
from trigger_api.settings import Settings

URL = "/v1/emotions"
ORIGINAL = ("/predict_api", "/predict_upload_api", "/predict_img_only_api")
NETWORKS: dict[str, Any] = {"inception-resnet": BrightnessClassifier(), "mobilenetv2": BrightnessClassifier(), "yolo3": RedDetector()}


def loader(path: Path, card: ModelCard) -> LoadedModel:
    network: LoadedModel = NETWORKS[card.name] if card.task == "emotions" else load(path, card, LoadOptions())
    return network


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application with the bundled detector and three models without weights."""
    root = tmp_path_factory.mktemp("models")
    add_detector(root)
    add_emotions(root, mood_card(), mood_card("mobilenetv2", margin=1.2), red_card())
    settings = Settings(models=root, bundled=False, max_image_pixels=2_000_000, jpeg_quality=60)
    with serving(create_app(settings, loader=loader)) as address:
        yield f"http://{address}"


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as http:
        yield http


def ask(client: httpx.Client, pixels: Any, **form: str) -> Any:
    content = pixels if isinstance(pixels, bytes) else encoded(pixels)
    response = client.post(URL, files={"image": content}, data=form)
    assert response.status_code == 200, response.text
    return response.json()


def picture(text: str) -> PIL.Image.Image:
    """What a JPEG file in base64 shows."""
    file = PIL.Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    assert file.format == "JPEG"
    return file


def overlap(box: dict[str, int], other: tuple[float, ...]) -> float:
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    wide, high = min(right, other[2]) - max(box["x"], other[0]), min(bottom, other[3]) - max(box["y"], other[1])
    common = max(wide, 0) * max(high, 0)
    return common / (box["width"] * box["height"] + (other[2] - other[0]) * (other[3] - other[1]) - common)


class TestOurs:
    def test_every_face_has_box_landmarks_and_probabilities(self, client: httpx.Client) -> None:
        answer = ask(client, astronaut())
        assert (answer["detected"], answer["width"], answer["height"]) == (True, 512, 512)
        assert (answer["model"], answer["version"], answer["annotated"]) == ("inception-resnet", "1", None)
        (face,) = answer["faces"]
        assert overlap(face["box"], FACE) > 0.6
        assert face["confidence"] > 0.99
        assert list(face["probabilities"]) == list(LABELS)
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert face["probability"] == face["probabilities"][face["emotion"]] == max(face["probabilities"].values())
        marks = face["landmarks"]
        assert marks["left_eye"]["x"] < marks["nose"]["x"] < marks["right_eye"]["x"]
        assert marks["left_eye"]["y"] < marks["nose"]["y"] < marks["mouth_left"]["y"]
        assert face["crop"] is None

    def test_pictures_are_answered_on_request(self, client: httpx.Client) -> None:
        answer = ask(client, astronaut(), annotated="true", crops="true")
        (face,) = answer["faces"]
        assert picture(face["crop"]).size == (face["box"]["width"], face["box"]["height"])
        drawn = np.asarray(picture(answer["annotated"]).convert("RGB"), np.int32)
        assert drawn.shape == (512, 512, 3)
        changed = np.abs(drawn - astronaut()).max(axis=2) > 100
        assert changed[:, FACE[0] - 20 : FACE[2] + 60].sum() > 200

    def test_forty_faces_are_found_and_read_together(self, client: httpx.Client) -> None:
        network = NETWORKS["mobilenetv2"]
        network.batches.clear()
        answer = ask(client, crowd(), model="mobilenetv2", annotated="true")
        assert len(answer["faces"]) == 40
        assert max(network.batches) == 8
        places = {(face["box"]["x"] // 64, face["box"]["y"] // 64) for face in answer["faces"]}
        assert len(places) >= 36

    def test_a_face_at_the_border(self, client: httpx.Client) -> None:
        left, top, right, _ = FACE
        cut = astronaut()[top:, left:right]
        (face,) = ask(client, cut)["faces"]
        box = face["box"]
        assert box["x"] + box["width"] <= right - left
        assert box["height"] > 100

    @pytest.mark.parametrize(("turn", "orientation"), [(1, 6), (2, 3), (3, 8)])
    def test_a_photo_that_lies_on_its_side(self, client: httpx.Client, turn: int, orientation: int) -> None:
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        lying = np.ascontiguousarray(np.rot90(astronaut(), turn))
        (face,) = ask(client, encoded(lying, "JPEG", exif=exif, quality=95))["faces"]
        assert overlap(face["box"], FACE) > 0.6

    @pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (11, 11), (12, 12), (20, 20), (31, 47), (640, 13)])
    def test_photos_of_any_size(self, client: httpx.Client, size: tuple[int, int]) -> None:
        for model in ("inception-resnet", "yolo3"):
            answer = ask(client, np.full((*size, 3), 90, np.uint8), model=model, annotated="true", crops="true")
            assert (answer["detected"], answer["faces"]) == (False, [])
            assert picture(answer["annotated"]).size == (size[1], size[0])

    @pytest.mark.parametrize("scale", [0.4, 2.5])
    def test_a_face_at_any_scale(self, client: httpx.Client, scale: float) -> None:
        photo = PIL.Image.fromarray(astronaut())
        size = round(512 * scale)
        (face,) = ask(client, np.asarray(photo.resize((size, size))))["faces"]
        assert overlap(face["box"], tuple(scale * edge for edge in FACE)) > 0.55

    def test_a_grey_photo_and_one_with_transparency(self, client: httpx.Client) -> None:
        for mode in ("L", "RGBA", "P"):
            buffer = io.BytesIO()
            PIL.Image.fromarray(astronaut()).convert(mode).save(buffer, "PNG")
            assert len(ask(client, buffer.getvalue())["faces"]) == 1

    def test_the_threshold_counts(self, client: httpx.Client) -> None:
        assert ask(client, astronaut(), threshold="1")["faces"] == []
        assert len(ask(client, astronaut(), threshold="0")["faces"]) >= 1
        assert len(ask(client, red(), model="yolo3", threshold="0.75")["faces"]) == 1
        assert ask(client, red(), model="yolo3", threshold="0.76")["faces"] == []

    def test_a_model_for_whole_photos(self, client: httpx.Client) -> None:
        (face,) = ask(client, red(200, 100), model="yolo3", crops="true")["faces"]
        assert face["box"] == pytest.approx({"x": 100, "y": 0, "width": 100, "height": 100}, abs=5)
        assert (face["emotion"], face["landmarks"]) == ("angry", None)
        assert face["confidence"] == 0.75

    @pytest.mark.parametrize(
        ("form", "status"), [({"threshold": "1.1"}, 422), ({"threshold": "nan"}, 422), ({"model": "nix"}, 404)]
    )
    def test_limits_have_limits(self, client: httpx.Client, form: dict[str, str], status: int) -> None:
        response = client.post(URL, files={"image": encoded(red())}, data=form)
        assert response.status_code == status
        assert response.json()["success"] is False

    @pytest.mark.parametrize(("content", "status"), [(b"", 422), (b"no picture", 415), (encoded(red())[:60], 422)])
    def test_what_is_no_photo_is_told_so(self, client: httpx.Client, content: bytes, status: int) -> None:
        assert client.post(URL, files={"image": ("photo.png", content)}).status_code == status

    def test_the_client(self, address: str) -> None:
        with Client(address) as service:
            answer = service.emotions(encoded(astronaut()), model="mobilenetv2", annotated=True)
            assert len(answer.faces) == 1
            assert answer.annotated
            assert service.emotions(encoded(red()), model="yolo3", threshold=0.8).detected is False


class TestTheOriginalService:
    def test_faces_and_the_framed_photo(self, client: httpx.Client) -> None:
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

    def test_the_photo_alone(self, client: httpx.Client) -> None:
        url = "data:image/png;base64," + base64.b64encode(encoded(astronaut())).decode()
        answer = client.post("/predict_img_only_api", json={"image": url}).json()
        assert sorted(answer) == ["found", "image"]
        assert picture(answer["image"]).size == (512, 512)

    @pytest.mark.parametrize("path", ORIGINAL)
    def test_no_face(self, client: httpx.Client, path: str) -> None:
        body = {"image": base64.b64encode(encoded(np.zeros((40, 40, 3), np.uint8))).decode(), "model": "yolo3"}
        assert client.post(path, json=body).json() == {"found": False}

    @pytest.mark.parametrize("model", ["vgg", "", None, 7, ["yolo3"], {"a": 1}])
    def test_an_unknown_model_is_the_first(self, client: httpx.Client, model: object) -> None:
        network = NETWORKS["inception-resnet"]
        network.batches.clear()
        body = {"image": base64.b64encode(encoded(astronaut())).decode(), "model": model}
        assert client.post("/predict_api", json=body).json()["found"] is True
        assert network.batches

    @pytest.mark.parametrize("path", ORIGINAL)
    @pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"model": "yolo3"}', '{"image": 3}'])
    def test_bad_requests(self, client: httpx.Client, path: str, body: str) -> None:
        response = client.post(path, content=body)
        assert response.status_code == 400
        assert response.json()["error"] == MALFORMED_JSON

    @pytest.mark.parametrize("path", ORIGINAL)
    @pytest.mark.parametrize("image", ["", "no base64!", base64.b64encode(b"text").decode()])
    def test_bad_pictures(self, client: httpx.Client, path: str, image: str) -> None:
        response = client.post(path, json={"image": image, "model": "mobilenetv2"})
        assert response.status_code == 422
        assert response.json()["error"] == FAILED_IMAGE


def test_pictures_of_all_kinds_are_answered(client: httpx.Client) -> None:
    @given(st.data())
    @hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def attack(data: st.DataObject) -> None:
        left, top = data.draw(st.integers(0, 400)), data.draw(st.integers(0, 400))
        wide, high = data.draw(st.integers(1, 112)), data.draw(st.integers(1, 112))
        part = PIL.Image.fromarray(astronaut()[top : top + high, left : left + wide])
        pixels = np.asarray(part.resize((data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300)))))
        model = data.draw(st.sampled_from(["inception-resnet", "mobilenetv2", "yolo3"]))
        answer = ask(client, pixels, model=model, threshold=str(data.draw(st.floats(0, 1))), annotated="1", crops="1")
        for face in answer["faces"]:
            box = face["box"]
            assert box["x"] + box["width"] <= answer["width"]
            assert box["y"] + box["height"] <= answer["height"]

    attack()


@pytest.mark.parametrize("path", ORIGINAL)
def test_a_large_body_is_decoded_beside_the_event_loop(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    decoding = note_threads(monkeypatch, deps, "from_base64")
    parsing = note_threads(monkeypatch, compat_body, "_parsed")
    body = {"image": base64.b64encode(encoded(red())).decode() + " " * 40_000, "model": "yolo3"}
    assert client.post(path, json=body).json()["found"] is True
    assert (parsing, decoding) == (["preprocess"], ["preprocess"])
