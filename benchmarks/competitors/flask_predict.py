"""As in web demos: Flask behind gunicorn, ``model.predict`` for each request."""

from __future__ import annotations

import io
from typing import Any

import keras
import numpy as np
import soundfile
from flask import Flask, jsonify, request
from flask.wrappers import Response
from matplotlib import mlab

from competitors import workload

app = Flask(__name__)
model: Any = keras.models.load_model(workload.argument("KERAS"), compile=False)


@app.post("/image")
def image() -> Response:
    values = workload.image(request.get_json()["image"])
    return jsonify(workload.classification(model.predict(values[None], verbose=0)))


@app.post("/audio")
def audio() -> Response:
    samples, _ = soundfile.read(io.BytesIO(request.files["audio"].read()), dtype="int16")
    spectrum = mlab.specgram(samples, NFFT=200, Fs=8_000, noverlap=120)[0]
    return jsonify(workload.detection(model.predict(np.asarray(spectrum).T[None, :5511], verbose=0)))
