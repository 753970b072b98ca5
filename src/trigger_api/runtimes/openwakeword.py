"""Imports wake words of openWakeWord, given as files: ``alexa_v0.1.onnx`` or ``alexa_v0.1.tflite``.

Such a file is a small classifier: 16 speech embeddings in, one score out. Our own heads use the same embeddings, so it
is served as one more head on the shared backbone, with the same scores as in the package ``openwakeword``.

Source of the format: https://github.com/dscripka/openWakeWord (Apache-2.0), release 0.6.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from trigger_api.model_card import Decision, ModelCard, TensorSpec
from trigger_api.runtimes.openwakeword_graphs import Classifier, Floats, Note, OnnxClassifier, TfLiteClassifier
from trigger_api.runtimes.speech_embedding import EMBEDDING
from trigger_api.scheduler import CompiledFunction, Tensors

SUFFIXES = (".onnx", ".tflite")
BACKBONE, FRAME_MS = "speech-embedding", 80
THRESHOLD = 0.5
"""The threshold that the package's documentation recommends."""
_PACKAGES = {".onnx": ("onnx", "onnxruntime"), ".tflite": ("ai_edge_litert",)}
_MAX_BYTES = 16 * 2**20  # files of the community have 0.2 MB
_WINDOW = 144  # embeddings per window of a recording
_TOLERANCE = 1e-5  # by which a score may differ when its window is computed with others
_VERSIONED = re.compile(r"(.+?)[ ._-]v(\d{1,4})(?:\.(\d{1,4}))?", re.IGNORECASE)


def is_named(path: Path) -> bool:
    """Whether a path is a file named like such a model: ``.onnx`` or ``.tflite``."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def servable(path: Path) -> bool:
    """Whether the packages that such a file needs are installed."""
    return all(map(find_spec, _PACKAGES[path.suffix.lower()]))


def read_classifier(path: Path, threads: int = 1) -> Classifier:
    """Read a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a wake word of openWakeWord, or a package that it needs is missing.
    """
    extra = path.suffix.lower().removeprefix(".")
    if not servable(path):
        raise ValueError(f"{path.name} needs the extra {extra!r}: pip install '.[{extra}]'")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES // 2**20} MiB")
        kind = OnnxClassifier if extra == "onnx" else TfLiteClassifier
        return kind(path.read_bytes(), threads)
    except ValueError as error:
        raise ValueError(f"{path.name} is not a wake word of openWakeWord: {error}") from error


def card(path: Path) -> ModelCard:
    """The card of a file: its name comes from the file name, its threshold from the package.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a wake word of openWakeWord, or a package that it needs is missing.
    """
    classifier = read_classifier(path)
    name, word, version = parse_name(path.stem)
    note = classifier.note or Note(word=word, decision=Decision(threshold=THRESHOLD))
    return ModelCard(
        task="trigger",
        name=name,
        version=version,
        description="A wake word of openWakeWord, served as it is.",
        labels=(note.word,),
        inputs=(TensorSpec(name="embeddings", shape=(-1, EMBEDDING)),),
        outputs=(TensorSpec(name="scores", shape=(-1,)),),
        sequence_lengths=(classifier.frames, _WINDOW),
        frame_ms=FRAME_MS,
        context=classifier.frames - 1,
        decision=note.decision,
        backbone=BACKBONE,
        parameters=classifier.parameters,
    )


def parse_name(stem: str) -> tuple[str, str, str]:
    """Name, word and version from a file name: ``Hey_Jarvis_v0.1`` is version 1 of hey_jarvis, "hey jarvis".

    The version is the suffix without its dot, so that v0.1, v0.2 and v1.0 are 1, 2 and 10; without a suffix it is 1.
    """
    found = _VERSIONED.fullmatch(stem)
    stem, version = (found[1], int(found[2] + (found[3] or ""))) if found else (stem, 1)
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64] or "word"
    word = re.sub(r"[\s_]+", " ", stem).strip().lower()[:200] or name
    return name, word, str(version)


def load(path: Path, threads: int) -> WindowedModel:
    """Load a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a wake word of openWakeWord, or its outputs are not scores.
    """
    return WindowedModel(read_classifier(path, threads))


class WindowedModel:
    """Slides a classifier along embeddings: ``[batch, T, 96]`` to ``scores [batch, T - frames + 1]``.

    Attributes:
        batched: whether all windows are computed at once; otherwise the graph computes them one by one.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._one = classifier.scorer(1)
        windows = np.random.default_rng(0).normal(0, 10, (4, classifier.frames, EMBEDDING)).astype(np.float32)
        scores = self._one_by_one(windows)
        if scores.shape != (4,) or not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError("its outputs are not scores between 0 and 1")
        self.batched = self._is_batchable(windows, scores)

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """A function for batches of this size and number of embeddings."""
        frames = self._classifier.frames
        count = batch * (specs[0].shape[0] - frames + 1)
        score = self._classifier.scorer(count) if self.batched else self._one_by_one

        def run(tensors: Tensors) -> Tensors:
            views = sliding_window_view(tensors["embeddings"], frames, axis=1)
            windows = views.swapaxes(2, 3).reshape(-1, frames, EMBEDDING)
            return {"scores": score(windows).reshape(batch, -1)}

        run({"embeddings": np.zeros((batch, *specs[0].shape), np.float32)})
        return run

    def _one_by_one(self, windows: Floats) -> Floats:
        return np.concatenate([self._one(window[None]) for window in windows])

    def _is_batchable(self, windows: Floats, scores: Floats) -> bool:
        """Whether windows get the same scores together as alone."""
        try:
            together = self._classifier.scorer(len(windows))(windows)
        except ValueError:
            return False
        return together.shape == scores.shape and float(np.abs(together - scores).max()) < _TOLERANCE
