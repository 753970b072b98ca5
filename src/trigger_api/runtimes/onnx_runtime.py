"""Converted models on ONNX Runtime: without TensorFlow, and several times faster on convolutions.

A conversion consists of the graph, the digest of the weights that it was made from, and samples with Keras's own
outputs. It serves only if it reproduces those outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import structlog

from trigger_api.model_card import CONVERTED_FILE, ModelCard, TensorSpec
from trigger_api.scheduler import CompiledFunction, Tensors

SAMPLES_FILE = "model.npz"
DIGEST_KEY = "weights_sha256"
TOLERANCE = 1e-4
_log = structlog.get_logger(__name__)


class OnnxModel:
    """A converted model; one session serves every thread, batch size and window length."""

    def __init__(self, session: onnxruntime.InferenceSession, card: ModelCard) -> None:
        self._session = session
        self._inputs = tuple(spec.name for spec in card.inputs)
        self._outputs = tuple(spec.name for spec in card.outputs)

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """Nothing to compile: the session takes any shape."""
        return self.run

    def run(self, tensors: Tensors) -> Tensors:
        """Compute a batch."""
        outputs = self._session.run(None, {name: tensors[name] for name in self._inputs})
        return dict(zip(self._outputs, outputs, strict=True))


def find(folders: Sequence[Path], card: ModelCard, digest: str, *, threads: int) -> OnnxModel | None:
    """The first conversion of these weights in some folders; None if none of them reproduces Keras's outputs."""
    for folder in folders:
        if (folder / CONVERTED_FILE).exists() and (folder / SAMPLES_FILE).exists():
            session = open_session(folder / CONVERTED_FILE, threads)
            model = OnnxModel(session, card)
            if session.get_modelmeta().custom_metadata_map.get(DIGEST_KEY) != digest:
                _log.warning("conversion was made from other weights", model=card.name)
            elif (difference := max_difference(model, folder / SAMPLES_FILE)) > TOLERANCE:
                _log.warning("conversion differs from Keras", model=card.name, by=difference)
            else:
                return model
    return None


def max_difference(model: OnnxModel, samples: Path) -> float:
    """The largest difference from Keras's outputs, which are stored with the samples as ``out:NAME``."""
    with np.load(samples, allow_pickle=False) as stored:
        outputs = model.run({name: stored[name] for name in stored.files if not name.startswith("out:")})
        return max(float(np.abs(outputs[name] - stored[f"out:{name}"]).max()) for name in outputs)


def open_session(model: Path | bytes, threads: int, *, arena: bool = False) -> onnxruntime.InferenceSession:
    """Open a session on the CPU, from a file or from its bytes.

    An ``arena`` keeps memory between runs. That suits a single model; with many, the memory of the largest batch of
    each would never be returned.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
