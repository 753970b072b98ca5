"""Send a tensor straight to a model, over the Open Inference Protocol. With tritonclient: ``infer_tritonclient.py``."""

from __future__ import annotations

import os

import numpy as np
import tritonclient.http as triton

HOST = os.environ.get("TRIGGER_URL", "http://127.0.0.1:8000").partition("://")[2]
MODEL = "mnist"

client = triton.InferenceServerClient(HOST)
(spec,) = client.get_model_metadata(MODEL)["inputs"]

picture = np.zeros((1, 28, 28, 1), np.float32)  # one picture: ink from 0 to 1
picture[0, 4:24, 13:16] = 1  # a vertical stroke
tensor = triton.InferInput(spec["name"], list(picture.shape), spec["datatype"])
tensor.set_data_from_numpy(picture)

scores = client.infer(MODEL, [tensor]).as_numpy("scores")[0]
print(f"{scores.argmax()} with a probability of {scores.max():.2f}")
