"""Converted models on ONNX Runtime: without TensorFlow, and several times faster on convolutions.

A conversion consists of the graph, the digest of the weights that it was made from, and samples with Keras's own
outputs. It serves only if it reproduces those outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import structlog
from numpy.typing import NDArray

from trigger_api.model_card import CONVERTED_FILE, WEIGHTS_FILE, ModelCard, TensorSpec
from trigger_api.runtimes import shared_weights
from trigger_api.scheduler import CompiledFunction, Tensors

SAMPLES_FILE = "model.npz"
DIGEST_KEY, TOLERANCE_KEY = "weights_sha256", "tolerance"
TOLERANCE = 1e-4  # if the conversion names no other
_log = structlog.get_logger(__name__)


class OnnxModel:
    """A converted model; one session serves every thread, batch size and window length.

    Args:
        session: the session.
        card: the model's card.
        weights: arrays that the session does not copy, which have to live as long.
    """

    def __init__(self, session: onnxruntime.InferenceSession, card: ModelCard, weights: Any = None) -> None:
        self._session = session
        self._weights = weights
        self._inputs = tuple(spec.name for spec in card.inputs)
        self._outputs = tuple(spec.name for spec in card.outputs)

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """Nothing to compile: the session takes any shape."""
        return self.run

    def run(self, tensors: Tensors) -> Tensors:
        """Compute a batch."""
        outputs = self._session.run(None, {name: tensors[name] for name in self._inputs})
        return dict(zip(self._outputs, outputs, strict=True))


def find(
    folders: Sequence[Path], card: ModelCard, digest: str, *, threads: int, weights: Path | None = None
) -> OnnxModel | None:
    """The first conversion of these weights in some folders; None if none of them reproduces Keras's outputs.

    Args:
        folders: where to look.
        card: the model's card.
        digest: of the weights.
        threads: that compute one batch.
        weights: the Keras file, if it does not lie beside the conversion.
    """
    for folder in folders:
        if (folder / CONVERTED_FILE).exists() and (folder / SAMPLES_FILE).exists():
            model = _checked(folder, card, digest, threads, weights or folder / WEIGHTS_FILE)
            if model is not None:
                return model
    return None


def _checked(folder: Path, card: ModelCard, digest: str, threads: int, weights: Path) -> OnnxModel | None:
    try:
        shared = _shared(folder / SAMPLES_FILE, weights)
    except KeyError:
        _log.warning("conversion was made from other weights", model=card.name)
        return None
    session = open_session(folder / CONVERTED_FILE, threads, weights=shared)
    properties = session.get_modelmeta().custom_metadata_map
    model = OnnxModel(session, card, shared)
    if properties.get(DIGEST_KEY) != digest:
        _log.warning("conversion was made from other weights", model=card.name)
    elif wanted := {value.name for value in session.get_inputs()} - {spec.name for spec in card.inputs}:
        _log.warning("conversion wants inputs that the card does not name", model=card.name, inputs=sorted(wanted))
    elif (difference := max_difference(model, folder / SAMPLES_FILE)) > _tolerance(properties):
        _log.warning("conversion differs from Keras", model=card.name, by=difference)
    else:
        return model
    return None


def _tolerance(properties: Mapping[str, str]) -> float:
    return float(properties.get(TOLERANCE_KEY, TOLERANCE))


def _shared(samples: Path, weights: Path) -> Mapping[str, NDArray[Any]]:
    """The weights that a conversion takes from the Keras file; none for most."""
    with np.load(samples, allow_pickle=False) as stored:
        kernels = {name: int(stored[name]) for name in stored.files if name.startswith(shared_weights.PREFIXES)}
    return shared_weights.read(weights, kernels) if kernels else {}


def max_difference(model: OnnxModel, samples: Path) -> float:
    """The largest difference from Keras's outputs, which are stored with the samples as ``out:NAME``."""
    with np.load(samples, allow_pickle=False) as stored:
        outputs = model.run({name: stored[name] for name in stored.files if ":" not in name})
        return max(float(np.abs(outputs[name] - stored[f"out:{name}"]).max()) for name in outputs)


def open_session(
    model: Path | bytes, threads: int, *, arena: bool = False, weights: Mapping[str, NDArray[Any]] | None = None
) -> onnxruntime.InferenceSession:
    """Open a session on the CPU, from a file or from its bytes.

    An ``arena`` keeps memory between runs. That suits a single model; with many, the memory of the largest batch of
    each would never be returned. ``weights`` are arrays that the graph leaves to its caller.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
