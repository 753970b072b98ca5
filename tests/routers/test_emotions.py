from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.running import serving
from helpers.tiny_emotions import (
    FACE,
    LABELS,
    MODELS,
    astronaut,
    crowd,
    emotions_app,
    encoded,
    red,
)
from trigger_api.client import Client

URL = "/v1/emotions"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(emotions_app(tmp_path_factory.mktemp("models"), MODELS)) as address:
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
    """Open a JPEG file in base64."""
    file = PIL.Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    assert file.format == "JPEG"
    return file


def iou(box: dict[str, int], other: tuple[float, ...]) -> float:
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    width, height = min(right, other[2]) - max(box["x"], other[0]), min(bottom, other[3]) - max(box["y"], other[1])
    intersection = max(width, 0) * max(height, 0)
    areas = box["width"] * box["height"] + (other[2] - other[0]) * (other[3] - other[1])
    return intersection / (areas - intersection)


def test_every_face_has_box_landmarks_and_probabilities(client: httpx.Client) -> None:
    answer = ask(client, astronaut())
    assert (answer["detected"], answer["width"], answer["height"]) == (True, 512, 512)
    assert (answer["model"], answer["version"], answer["annotated"]) == ("inception-resnet", "1", None)
    (face,) = answer["faces"]
    assert iou(face["box"], FACE) > 0.6
    assert face["confidence"] > 0.99
    assert list(face["probabilities"]) == list(LABELS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["probability"] == face["probabilities"][face["emotion"]] == max(face["probabilities"].values())
    landmarks = face["landmarks"]
    assert landmarks["left_eye"]["x"] < landmarks["nose"]["x"] < landmarks["right_eye"]["x"]
    assert landmarks["left_eye"]["y"] < landmarks["nose"]["y"] < landmarks["mouth_left"]["y"]
    assert face["crop"] is None


def test_pictures_are_returned_on_request(client: httpx.Client) -> None:
    answer = ask(client, astronaut(), annotated="true", crops="true")
    (face,) = answer["faces"]
    assert picture(face["crop"]).size == (face["box"]["width"], face["box"]["height"])
    drawn = np.asarray(picture(answer["annotated"]).convert("RGB"), np.int32)
    assert drawn.shape == (512, 512, 3)
    changed = np.abs(drawn - astronaut()).max(axis=2) > 100
    assert changed[:, FACE[0] - 20 : FACE[2] + 60].sum() > 200


def test_forty_faces_are_classified_in_batches(client: httpx.Client) -> None:
    model = MODELS["mobilenetv2"]
    model.batches.clear()
    answer = ask(client, crowd(), model="mobilenetv2", annotated="true")
    assert len(answer["faces"]) == 40
    assert max(model.batches) == 8
    places = {(face["box"]["x"] // 64, face["box"]["y"] // 64) for face in answer["faces"]}
    assert len(places) >= 36


def test_a_face_at_the_border_is_found(client: httpx.Client) -> None:
    left, top, right, _ = FACE
    cut = astronaut()[top:, left:right]
    (face,) = ask(client, cut)["faces"]
    box = face["box"]
    assert box["x"] + box["width"] <= right - left
    assert box["height"] > 100


@pytest.mark.parametrize(("turn", "orientation"), [(1, 6), (2, 3), (3, 8)])
def test_a_rotated_photo_is_turned_upright(client: httpx.Client, turn: int, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    lying = np.ascontiguousarray(np.rot90(astronaut(), turn))
    (face,) = ask(client, encoded(lying, "JPEG", exif=exif, quality=95))["faces"]
    assert iou(face["box"], FACE) > 0.6


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (11, 11), (12, 12), (20, 20), (31, 47), (640, 13)])
def test_photos_of_any_size_are_accepted(client: httpx.Client, size: tuple[int, int]) -> None:
    for model in ("inception-resnet", "yolo3"):
        answer = ask(client, np.full((*size, 3), 90, np.uint8), model=model, annotated="true", crops="true")
        assert (answer["detected"], answer["faces"]) == (False, [])
        assert picture(answer["annotated"]).size == (size[1], size[0])


@pytest.mark.parametrize("scale", [0.4, 2.5])
def test_a_face_is_found_at_any_scale(client: httpx.Client, scale: float) -> None:
    photo = PIL.Image.fromarray(astronaut())
    size = round(512 * scale)
    (face,) = ask(client, np.asarray(photo.resize((size, size))))["faces"]
    assert iou(face["box"], tuple(scale * edge for edge in FACE)) > 0.55


def test_photos_of_any_colour_mode_are_accepted(client: httpx.Client) -> None:
    for mode in ("L", "RGBA", "P"):
        buffer = io.BytesIO()
        PIL.Image.fromarray(astronaut()).convert(mode).save(buffer, "PNG")
        assert len(ask(client, buffer.getvalue())["faces"]) == 1


def test_the_caller_may_set_the_threshold(client: httpx.Client) -> None:
    assert ask(client, astronaut(), threshold="1")["faces"] == []
    assert len(ask(client, astronaut(), threshold="0")["faces"]) >= 1
    assert len(ask(client, red(), model="yolo3", threshold="0.75")["faces"]) == 1
    assert ask(client, red(), model="yolo3", threshold="0.76")["faces"] == []


def test_a_detector_reads_the_whole_photo(client: httpx.Client) -> None:
    (face,) = ask(client, red(200, 100), model="yolo3", crops="true")["faces"]
    assert face["box"] == pytest.approx({"x": 100, "y": 0, "width": 100, "height": 100}, abs=5)
    assert (face["emotion"], face["landmarks"]) == ("angry", None)
    assert face["confidence"] == 0.75


@pytest.mark.parametrize(
    ("form", "status"), [({"threshold": "1.1"}, 422), ({"threshold": "nan"}, 422), ({"model": "nix"}, 404)]
)
def test_bad_options_are_rejected(client: httpx.Client, form: dict[str, str], status: int) -> None:
    response = client.post(URL, files={"image": encoded(red())}, data=form)
    assert response.status_code == status
    assert response.json()["success"] is False


@pytest.mark.parametrize(("content", "status"), [(b"", 422), (b"no picture", 415), (encoded(red())[:60], 422)])
def test_bad_photos_are_rejected(client: httpx.Client, content: bytes, status: int) -> None:
    assert client.post(URL, files={"image": ("photo.png", content)}).status_code == status


def test_the_client_reads_emotions(address: str) -> None:
    with Client(address) as service:
        answer = service.emotions(encoded(astronaut()), model="mobilenetv2", annotated=True)
        assert len(answer.faces) == 1
        assert answer.annotated
        assert service.emotions(encoded(red()), model="yolo3", threshold=0.8).detected is False


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
