"""Loads a Keras model from disk, whoever made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trigger_api.model_card import WEIGHTS_FILE
from trigger_api.runtimes import coursera, keras_hub, keras_tensorflow, openwakeword


def load(path: Path) -> Any:
    """Load a model folder, a KerasHub preset, or a bare weights file of the Coursera assignment.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a model of that kind.
    """
    if openwakeword.is_named(path):
        raise ValueError(f"{path.name} is served as it is: it contains no Keras model")
    if path.is_file():
        return coursera.load(path)
    return keras_hub.load(path) if keras_hub.is_preset(path) else keras_tensorflow.load(path / WEIGHTS_FILE)
