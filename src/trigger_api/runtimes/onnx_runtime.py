"""Converted models on ONNX Runtime: no TensorFlow in the process, and several times faster on convolutions.

A conversion is three files in one: the graph, the digest of the weights it was made from, and samples with Keras's own
answers. Before it serves it must give those answers.
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
        """There is nothing to compile: shapes are free."""
        return self.run

    def run(self, tensors: Tensors) -> Tensors:
        """Compute a batch."""
        outputs = self._session.run(None, {name: tensors[name] for name in self._inputs})
        return dict(zip(self._outputs, outputs, strict=True))


def find(folders: Sequence[Path], card: ModelCard, digest: str, *, threads: int) -> OnnxModel | None:
    """The first conversion of these weights in some folders; None if there is none that gives Keras's answers."""
    for folder in folders:
        if (folder / CONVERTED_FILE).exists() and (folder / SAMPLES_FILE).exists():
            session = open_session(folder / CONVERTED_FILE, threads)
            network = OnnxModel(session, card)
            if session.get_modelmeta().custom_metadata_map.get(DIGEST_KEY) != digest:
                _log.warning("conversion is of other weights", model=card.name)
            elif (worst := error(network, folder / SAMPLES_FILE)) > TOLERANCE:
                _log.warning("conversion differs from Keras", model=card.name, by=worst)
            else:
                return network
    return None


def error(network: OnnxModel, samples: Path) -> float:
    """The largest difference from Keras's answers, which lie beside the samples as ``out:NAME``."""
    with np.load(samples, allow_pickle=False) as stored:
        outputs = network.run({name: stored[name] for name in stored.files if not name.startswith("out:")})
        return max(float(np.abs(outputs[name] - stored[f"out:{name}"]).max()) for name in outputs)


def open_session(model: Path | bytes, threads: int, *, arena: bool = False) -> onnxruntime.InferenceSession:
    """A session on the processor, of a file or of its bytes.

    An `arena` keeps memory from run to run: good for one model at work; but of many it would keep what the largest
    batches took, for good.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
