"""The baseline: emotions as the well-known web demo serves them: Flask, the package mtcnn, ``model.predict``.

The same body in and out as ``/predict_api``: a photo in base64, answered with its faces framed and each face alone.
"""

from __future__ import annotations

import base64
import io
import os
from typing import Any

import keras
import numpy as np
import PIL.Image
import PIL.ImageDraw
from flask import Flask, jsonify, request
from flask.wrappers import Response
from mtcnn import MTCNN

EMOTIONS = ("happy", "sad", "surprised", "neutral", "fear", "disgust", "angry")

app = Flask(__name__)
model = keras.models.load_model(os.environ["NETWORK"], compile=False)
side = model.inputs[0].shape[1]
detector = MTCNN()
model.predict(np.zeros((1, side, side, 1), np.uint8), verbose=0)  # first calls in several threads at once never end
detector.detect_faces(np.zeros((48, 48, 3), np.uint8))


@app.post("/predict_api")
def predict() -> Response:
    file = io.BytesIO(base64.b64decode(request.get_json()["image"]))
    photo = PIL.Image.open(file).convert("RGB")
    boxes = [face["box"] for face in detector.detect_faces(np.asarray(photo))]
    if not boxes:
        return jsonify({"found": False})
    faces = [photo.crop((x, y, x + max(width, 1), y + max(height, 1))) for x, y, width, height in boxes]
    crops = np.stack([np.asarray(face.convert("L").resize((side, side)))[..., None] for face in faces])
    answer = model.predict(crops, verbose=0)
    rows = [_sorted(row) for row in (answer["probabilities"] if isinstance(answer, dict) else answer)]
    draw = PIL.ImageDraw.Draw(photo)
    for (x, y, width, height), row in zip(boxes, rows, strict=True):
        draw.rectangle((x, y, x + width, y + height), outline=(255, 165, 0), width=2)
        draw.text((x, y), f"{row[0]['emotion']}: {row[0]['probability']}", (0, 0, 0))
    answers = [{"face": _base64(face), "prediction": row} for face, row in zip(faces, rows, strict=True)]
    return jsonify({"image": _base64(photo), "found": True, "faces": answers})


@app.get("/")
def alive() -> str:
    return "ok"


def _sorted(row: Any) -> list[dict[str, Any]]:
    pairs = sorted(zip(EMOTIONS, row.tolist(), strict=True), key=lambda pair: -pair[1])
    return [{"emotion": emotion, "probability": round(probability, 2)} for emotion, probability in pairs]


def _base64(picture: PIL.Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()
