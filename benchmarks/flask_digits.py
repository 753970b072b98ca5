"""The baseline: digits as web demos serve them: Flask behind gunicorn, the picture squeezed to 28 x 28, ``predict``."""

from __future__ import annotations

import base64
import io
import os

import keras
import numpy as np
import PIL.Image
from flask import Flask, jsonify, request
from flask.wrappers import Response

SIDE = 28

app = Flask(__name__)
model = keras.models.load_model(os.environ["NETWORK"], compile=False)
model.predict(np.zeros((1, SIDE, SIDE, 1), np.float32), verbose=0)  # first calls in several threads at once never end


@app.post("/image-predict")
def predict() -> Response:
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(request.get_json()["image"]))).convert("L")
    ink = 1 - np.asarray(picture.resize((SIDE, SIDE)), np.float32) / 255
    answer = model.predict(ink[None, :, :, None], verbose=0)
    scores = next(iter(answer.values())) if isinstance(answer, dict) else answer
    return jsonify({"img_shape": [*picture.size], "prediction": int(scores[0].argmax())})
