"""A model on disk to a Keras model, whoever made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trigger_api.model_card import WEIGHTS_FILE
from trigger_api.runtimes import coursera, keras_hub, keras_tensorflow, openwakeword


def read(path: Path) -> Any:
    """Read a model folder, a folder of KerasHub's, or a bare weights file of the exercise.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what it should be.
    """
    if openwakeword.is_named(path):
        raise ValueError(f"{path.name} is served as it is: there is no Keras model in it")
    if path.is_file():
        return coursera.rebuild(path)
    return keras_hub.read(path) if keras_hub.is_preset(path) else keras_tensorflow.read(path / WEIGHTS_FILE)
