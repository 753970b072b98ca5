from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trigger_api.runtimes.speech_embedding import BANDS, EMBEDDING, SILENT
from trigger_api.training.trigger.student import Shape, remember_silence, student

SHAPE = Shape(bands=(2, 3, 4), width=5, dilations=(1, 2))


@pytest.fixture(scope="module")
def networks() -> tuple[Any, Any]:
    """The network that is trained, and the one that is served, with the same weights."""
    layers = student(SHAPE)
    learning, serving = layers.learning(), layers.serving()
    remember_silence(serving)
    return learning, serving


def streamed(serving: Any, mel: np.ndarray[Any, np.dtype[np.float32]], frames: int) -> np.ndarray[Any, Any]:
    state = np.zeros((len(mel), serving.input["state"].shape[1]), np.float32)
    found = []
    for start in range(0, mel.shape[1], frames):
        answer = serving({"mel": mel[:, start : start + frames], "state": state})
        state = np.asarray(answer["state"])
        found.append(np.asarray(answer["embeddings"]))
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("frames", [8, 24, 48])
def test_a_stream_gives_what_a_whole_recording_gives(networks: tuple[Any, Any], frames: int) -> None:
    mel = np.random.default_rng(0).normal(4, 4, (3, 48, BANDS)).astype(np.float32)
    whole = np.asarray(networks[0](mel))
    assert whole.shape == (3, 6, EMBEDDING)
    np.testing.assert_allclose(streamed(networks[1], mel, frames), whole, rtol=1e-4, atol=1e-5)


def test_silence_before_a_recording_changes_nothing(networks: tuple[Any, Any]) -> None:
    mel = np.random.default_rng(0).normal(4, 4, (1, 16, BANDS)).astype(np.float32)
    silence = np.full((1, 64, BANDS), SILENT, np.float32)
    led = streamed(networks[1], np.concatenate([silence, mel], axis=1), 80)
    np.testing.assert_allclose(led[:, 8:], streamed(networks[1], mel, 16), rtol=1e-4, atol=1e-5)


def test_an_embedding_does_not_know_what_comes_after_it(networks: tuple[Any, Any]) -> None:
    mel = np.random.default_rng(0).normal(4, 4, (1, 32, BANDS)).astype(np.float32)
    before = streamed(networks[1], mel, 32)
    mel[:, 16:] = SILENT
    np.testing.assert_allclose(streamed(networks[1], mel, 32)[:, :2], before[:, :2], rtol=1e-4, atol=1e-5)
