"""The baseline: the exercise's network the way its web demos serve it, with Flask and ``model.predict``."""

from __future__ import annotations

import sys

import keras
import numpy as np
import soundfile
from flask import Flask, jsonify, request
from flask.wrappers import Response
from matplotlib import mlab

app = Flask(__name__)
model = keras.models.load_model(sys.argv[1], compile=False)


@app.post("/predict")
def predict() -> Response:
    samples, _ = soundfile.read(request.files["audio"], dtype="int16")
    spectrum = mlab.specgram(samples, NFFT=200, Fs=8_000, noverlap=120)[0]
    scores = model.predict(np.asarray(spectrum).T[None], verbose=0)[0, :, 0]
    return jsonify(success=True, detected=bool((scores > 0.5).any()))


if __name__ == "__main__":
    app.run(port=int(sys.argv[2]), threaded=True)
