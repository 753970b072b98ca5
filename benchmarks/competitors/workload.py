"""What every server under test does with a request: parse, preprocess, compute, answer."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any, Protocol

import numpy as np
import onnxruntime
import soundfile
from numpy.typing import NDArray

from trigger_api.model_card import SpectrogramFrontEnd
from trigger_api.tasks.trigger.spectrogram import Spectrogram

_FRONT_END = Spectrogram(SpectrogramFrontEnd(level_dbfs=None))


class LoadedModel(Protocol):
    """Computes a batch."""

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores ``(n, ...)`` of inputs ``(n, ...)``."""


def network(path: str, threads: int = 1) -> LoadedModel:
    """A converted network on ONNX Runtime, as trigger_api runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: np.asarray(session.run(None, {name: batch})[0])


def image(values: list[float]) -> NDArray[np.float32]:
    """A picture of 28x28 pixels, sent as a list."""
    return np.asarray(values, np.float32).reshape(28, 28, 1)


def spectrogram(recording: bytes) -> NDArray[np.float32]:
    """The exercise's spectrogram of a recording of 10 s."""
    samples, _ = soundfile.read(BytesIO(recording), dtype="float32")
    return _FRONT_END.features(samples)[:5511]


def classification(scores: NDArray[np.float32]) -> dict[str, Any]:
    """The answer for a picture."""
    return {"scores": scores.ravel().tolist()}


def detection(scores: NDArray[np.float32]) -> dict[str, Any]:
    """The answer for a recording."""
    return {"detected": bool((scores > 0.5).any())}


def argument(name: str, default: str = "") -> str:
    """An argument of a server, by environment: every framework has a command line of its own."""
    return os.environ.get(f"COMPETITOR_{name}", default)
