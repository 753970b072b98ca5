"""Runtimes that compute models: one module each, all behind ``LoadedModel``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from trigger_api.model_card import CONVERTED_FILE, ModelCard, TensorSpec, weights
from trigger_api.runtimes import openwakeword
from trigger_api.scheduler import CompiledFunction
from trigger_api.settings import RuntimeKind


class LoadedModel(Protocol):
    """A model's weights in memory."""

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """Build a function for batches of this size and these input shapes, and run it once.

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
    folders = [folder for folder in (path, cache) if folder and folder.is_dir()]
    found = onnx_runtime.find(folders, card, sha256, threads=options.intra_op_threads)
    if found is not None or cache is None or not _can_convert():
        return found
    if not _convert(path, card, sha256, cache, options):
        return None
    return onnx_runtime.find([cache], card, sha256, threads=options.intra_op_threads)


def _convert(path: Path, card: ModelCard, sha256: str, cache: Path, options: LoadOptions) -> bool:
    try:
        _prepare_tensorflow(options)
        from trigger_api.runtimes import onnx_export

        onnx_export.convert(path, card, sha256, cache)
    except ValueError:
        return False
    return True


def _can_convert() -> bool:
    return all(find_spec(name) for name in ("tensorflow", "keras", "tf2onnx"))


def _keras(path: Path, card: ModelCard, options: LoadOptions) -> LoadedModel:
    if not find_spec("tensorflow"):
        raise ValueError("no runtime can serve it: install trigger-api[tensorflow], or [onnx] for a converted model")
    _prepare_tensorflow(options)
    from trigger_api.runtimes import keras_loader, keras_tensorflow

    return keras_tensorflow.KerasModel(keras_loader.load(path), card)


def _prepare_tensorflow(options: LoadOptions) -> None:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it reports a missing GPU as an error
    from trigger_api.runtimes import keras_tensorflow  # importing it takes seconds

    keras_tensorflow.configure(intra_op_threads=options.intra_op_threads, inter_op_threads=options.inference_threads)
