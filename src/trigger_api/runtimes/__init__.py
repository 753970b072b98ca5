"""Runtimes that compute models: one module each, all behind ``LoadedModel``."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from trigger_api.model_card import CONVERTED_FILE, ModelCard, TensorSpec, weights
from trigger_api.runtimes import openwakeword
from trigger_api.scheduler import CompiledFunction
from trigger_api.settings import RuntimeKind

NEEDS_TENSORFLOW = (
    "it is a Keras model, and TensorFlow is missing: install trigger-api[tensorflow] to serve it, or "
    "trigger-api[convert] to have it converted for ONNX Runtime"
)
_keras_lock = threading.Lock()  # Keras numbers the layers of a process


class LoadedModel(Protocol):
    """A model's weights in memory."""

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """Build a function for batches of this size and these input shapes, or give one that takes any.

        The shapes have no batch axis and no variable dimensions.
        """


@dataclass(frozen=True)
class LoadOptions:
    """How to load a model.

    Attributes:
        kind: a runtime, or ``auto``: ONNX Runtime if it is installed and the model can be converted, else TensorFlow.
        cache: folder in which conversions are kept, by the sha256 of the weights.
    """

    kind: RuntimeKind = "auto"
    intra_op_threads: int = 1
    inference_threads: int = 1
    cache: Path | None = None


def load(path: Path, card: ModelCard, options: LoadOptions) -> LoadedModel:
    """Load a model folder, a bare weights file of the Coursera assignment, or a file of openWakeWord.

    Raises:
        ValueError: the weights do not match the card, or the chosen runtime cannot serve them.
    """
    if openwakeword.is_named(path):
        return openwakeword.load(path, options.intra_op_threads)
    if options.kind != "tensorflow" and find_spec("onnxruntime"):
        converted = _converted(path, card, options)
        if converted is not None:
            return converted
    if options.kind == "onnx":
        raise ValueError("it is not converted for ONNX Runtime and cannot be converted here: see `trigger-api convert`")
    return _keras(path, card, options)


def servable(path: Path, options: LoadOptions) -> bool:
    """Whether an installed runtime may serve a model: TensorFlow serves any folder, ONNX Runtime converted ones."""
    if openwakeword.is_named(path):
        return openwakeword.servable(path)
    if find_spec("tensorflow"):
        return True
    kept = [options.cache / digest(path)] if options.cache else []
    return any((folder / CONVERTED_FILE).exists() for folder in (path, *kept))


def digest(path: Path) -> str:
    """The sha256 of a model's weights."""
    sha256 = hashlib.sha256()
    for file in weights(path):
        sha256.update(file.read_bytes())
    return sha256.hexdigest()


def _converted(path: Path, card: ModelCard, options: LoadOptions) -> LoadedModel | None:
    """The model's conversion, found or made; None if there is none."""
    from trigger_api.runtimes import onnx_runtime

    sha256 = digest(path)
    cache = options.cache / sha256 if options.cache else None
    file = next(iter(weights(path)), path)
    find = partial(onnx_runtime.find, card=card, digest=sha256, weights=file, threads=options.intra_op_threads)
    found = find([folder for folder in (path, cache) if folder and folder.is_dir()])
    if found is None and cache and _convert(path, cache):
        return find([cache])
    return found


def _convert(path: Path, cache: Path) -> bool:
    from trigger_api.runtimes import conversion  # seldom needed

    return conversion.possible() and conversion.convert(path, cache)


def _keras(path: Path, card: ModelCard, options: LoadOptions) -> LoadedModel:
    if not find_spec("tensorflow"):
        raise ValueError(NEEDS_TENSORFLOW)
    _prepare_tensorflow(options)
    from trigger_api.runtimes import keras_loader, keras_tensorflow

    with _keras_lock:
        return keras_tensorflow.KerasModel(keras_loader.load(path), card)


def _prepare_tensorflow(options: LoadOptions) -> None:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it reports a missing GPU as an error
    from trigger_api.runtimes import keras_tensorflow  # importing it takes seconds

    keras_tensorflow.configure(intra_op_threads=options.intra_op_threads, inter_op_threads=options.inference_threads)
