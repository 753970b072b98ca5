"""The networks that benchmarks serve, as model folders: Keras, and converted for ONNX Runtime.

Weights are random: they cost as much as trained ones.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from trigger_api.model_card import CONVERTED_FILE, WEIGHTS_FILE, Limits, ModelCard, TensorSpec, write_card
from trigger_api.runtimes import coursera, digest, onnx_export

SIDE = 28
SIZES = (1, 2, 4, 8, 16, 32)


def tiny(folder: Path) -> Path:
    """A CNN of 14 000 weights over 28x28 pixels."""
    from keras import Model, layers

    image = layers.Input((SIDE, SIDE, 1), name="image")
    x = layers.MaxPooling2D()(layers.Conv2D(16, 3, activation="relu")(image))
    x = layers.MaxPooling2D()(layers.Conv2D(32, 3, activation="relu")(x))
    scores = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    return _save(Model(image, scores), "tiny", folder, (SIDE, SIDE, 1))


def idle(folder: Path, side: int = SIDE) -> Path:
    """A model that costs nothing: it returns its input."""
    from keras import Model, layers

    shape = (side, side, 1)
    image = layers.Input(shape, name="image")
    return _save(Model(image, layers.Identity()(image)), "idle", folder, shape, shape)


def demo(path: Path, *, time_distributed: bool = True) -> Path:
    """The exercise's network as demos save it; or with its last layer as one product over all steps."""
    from keras import Model, layers

    model = coursera.build()
    if time_distributed:
        hidden = model.layers[-2].output
        model = Model(model.input, layers.TimeDistributed(layers.Dense(1, activation="sigmoid"))(hidden))
    model.save(path)
    return path


def converted(path: Path, card: ModelCard, folder: Path) -> Path:
    """The network for ONNX Runtime, as every server gets it."""
    onnx_export.convert(path, card, digest(path), folder)
    return folder / CONVERTED_FILE


def _save(model: Any, name: str, folder: Path, shape: tuple[int, ...], scores: tuple[int, ...] = (10,)) -> Path:
    target = folder / "digits" / name / "1"
    target.mkdir(parents=True)
    model.save(target / WEIGHTS_FILE)
    card = ModelCard(
        task="digits",
        name=name,
        version="1",
        inputs=(TensorSpec(name="image", shape=shape),),
        outputs=(TensorSpec(name="scores", shape=scores),),
        limits=Limits(batch_sizes=SIZES),
        sha256=hashlib.sha256((target / WEIGHTS_FILE).read_bytes()).hexdigest(),
    )
    write_card(target, card)
    converted(target, card, target)
    return target
