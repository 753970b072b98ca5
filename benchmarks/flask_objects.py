"""The baseline: a detector as web demos serve it: Flask behind gunicorn, ``model.predict``, numpy around it."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
import PIL.Image
from flask import Flask, jsonify, request
from flask.wrappers import Response
from numpy.typing import NDArray

SIDE, GREY = 416, 114
STRIDES = (8, 16, 32)

app = Flask(__name__)
model = keras.models.load_model(os.environ["NETWORK"], compile=False)
model.predict(np.zeros((1, SIDE, SIDE, 3), np.float32), verbose=0)  # first calls in several threads at once never end
corners = np.concatenate(
    [np.stack(np.meshgrid(*[np.arange(SIDE // stride)] * 2), axis=-1).reshape(-1, 2) for stride in STRIDES]
)
strides = np.repeat(STRIDES, [(SIDE // stride) ** 2 for stride in STRIDES])[:, None]


@app.post("/v1/objects")
def find() -> Response:
    photo = PIL.Image.open(request.files["image"].stream).convert("RGB")
    scale = SIDE / max(photo.size)
    resized = photo.resize((int(photo.width * scale), int(photo.height * scale)), PIL.Image.Resampling.BILINEAR)
    canvas = np.full((SIDE, SIDE, 3), GREY, np.float32)
    canvas[: resized.height, : resized.width] = np.asarray(resized)
    boxes, scores, classes = _decode(model.predict(canvas[None], verbose=0)[0])
    kept = [int(i) for kind in np.unique(classes) for i in _suppress(boxes, scores, np.flatnonzero(classes == kind))]
    return jsonify([[int(classes[i]), float(scores[i]), (boxes[i] / scale).tolist()] for i in kept])


def _decode(cells: NDArray[np.float32]) -> tuple[Any, Any, Any]:
    centre, half = (cells[:, :2] + corners) * strides, np.exp(cells[:, 2:4]) * strides / 2
    each = 1 / (1 + np.exp(-cells[:, 4:]))
    scores = each[:, 0] * each[:, 1:].max(axis=1)
    likely = scores > 0.3
    return np.concatenate([centre - half, centre + half], axis=1)[likely], scores[likely], each[likely, 1:].argmax(1)


def _suppress(boxes: Any, scores: Any, members: Any) -> list[int]:
    rest, kept = members[np.argsort(-scores[members])], []
    while len(rest):
        first, rest = rest[0], rest[1:]
        kept.append(first)
        sides = np.minimum(boxes[first, 2:], boxes[rest, 2:]) - np.maximum(boxes[first, :2], boxes[rest, :2])
        common = sides.clip(0).prod(axis=1)
        areas = (boxes[rest, 2:] - boxes[rest, :2]).prod(axis=1) + (boxes[first, 2:] - boxes[first, :2]).prod()
        rest = rest[common / (areas - common) <= 0.4]
    return kept
