from __future__ import annotations

import base64
import io

import numpy as np
import PIL.Image

from trigger_api.tasks.emotions.drawing import annotated_photo, face_crops
from trigger_api.tasks.emotions.task import EmotionsResult, FaceEmotion
from trigger_api.tasks.faces.task import Face

PIXELS = np.full((120, 200, 3), 90, np.uint8)
FACES = (FaceEmotion(Face((20, 40, 60, 90), 0.9), (0.2, 0.8)), FaceEmotion(Face((120, 50, 150, 80), 0.8), (1.0, 0.0)))
RESULT = EmotionsResult(FACES, ("happy", "sad"), "tiny", "1", PIXELS)


def decode(text: str) -> PIL.Image.Image:
    image = PIL.Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    assert image.format == "JPEG"
    return image


def test_each_face_is_framed_on_the_photo() -> None:
    image = np.asarray(decode(annotated_photo(RESULT, 90)), np.int32)
    assert image.shape == PIXELS.shape
    changed = np.abs(image - PIXELS).max(axis=2) > 60
    assert all(changed[round(face.face.box[3]), round(face.face.box[0]) + 10] for face in FACES)


def test_each_face_is_cropped() -> None:
    assert [decode(crop).size for crop in face_crops(RESULT, 90)] == [(40, 50), (30, 30)]
