"""Exports heads as files for the package openwakeword: ``[1, 16, 96]`` embeddings in, a score ``[1, 1]`` out.

Our heads take fewer than 16 embeddings: the latest ones of the window.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from trigger_api import runtimes
from trigger_api.model_card import CONVERTED_FILE, ModelCard, read_card
from trigger_api.runtimes import openwakeword
from trigger_api.runtimes.openwakeword_graphs import NOTE_KEY, Note
from trigger_api.runtimes.speech_embedding import EMBEDDING

_FRAMES = 16  # embeddings that the package's own models take
_WINDOWS = 32  # windows with which an exported file is checked
_TOLERANCE = 1e-4


def export(folder: Path, out: Path) -> ModelCard:
    """Write the head in a model folder as an ``.onnx`` file, after checking that it gives the head's own scores.

    The file also contains the word and its decision, for this service to use; the package ignores them.

    Raises:
        OSError: the folder cannot be read, or the file cannot be written.
        ValueError: it is not a head on the speech embedding, or the file would give other scores.
    """
    card = read_card(folder)
    if card.task != "trigger" or card.backbone != openwakeword.BACKBONE:
        raise ValueError(f"{card.name} is not a head on the backbone {openwakeword.BACKBONE}")
    if out.suffix != ".onnx":
        raise ValueError(f"{out.name}: the file name must end in .onnx")
    data = _file(folder, card)
    with tempfile.TemporaryDirectory() as work:
        candidate = Path(work) / out.name
        candidate.write_bytes(data)
        _check(candidate, folder, card)
    out.write_bytes(data)
    return card


def frames(card: ModelCard) -> int:
    """How many embeddings the file takes: 16, or more if the head needs them."""
    return max(_FRAMES, card.context + 1)


def _check(file: Path, folder: Path, card: ModelCard) -> None:
    """Compare the scores of the file and of the head, each as it would be served."""
    length = frames(card) + _WINDOWS - 1
    embeddings = np.random.default_rng(0).normal(0, 10, (1, length, EMBEDDING)).astype(np.float32)
    specs = [card.inputs[0].model_copy(update={"shape": embeddings.shape[1:]})]
    models = (openwakeword.load(file, 1), runtimes.load(folder, card, runtimes.LoadOptions()))
    theirs, ours = (model.compile(specs, 1)({"embeddings": embeddings})["scores"] for model in models)
    difference = float(np.abs(theirs - ours.reshape(1, -1)[:, -_WINDOWS:]).max())
    if difference > _TOLERANCE:
        raise ValueError(f"{file.name} would give scores that differ from the head's by {difference:.1g}")


def _file(folder: Path, card: ModelCard) -> bytes:
    """The head's conversion, preceded by a node that slices the latest embeddings of the window."""
    from onnx import TensorProto, helper, numpy_helper

    model = _converted(folder, card)
    graph = model.graph
    (embeddings,), (scores,) = graph.input, graph.output
    bounds = {"starts": -(card.context + 1), "ends": np.iinfo(np.int64).max, "axes": 1}
    for name, value in bounds.items():
        graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), f"window_{name}"))
    latest = helper.make_node("Slice", ["window", *(f"window_{name}" for name in bounds)], [embeddings.name])
    graph.node.insert(0, latest)
    embeddings.CopyFrom(helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, frames(card), EMBEDDING]))
    scores.CopyFrom(helper.make_tensor_value_info(scores.name, TensorProto.FLOAT, [1, 1]))
    del graph.value_info[:]
    helper.set_model_props(model, {NOTE_KEY: _note(card).model_dump_json()})
    return bytes(model.SerializeToString())


def _note(card: ModelCard) -> Note:
    assert card.decision is not None  # a trigger's card has one
    return Note(word=card.labels[0] if card.labels else card.name, decision=card.decision)


def _converted(folder: Path, card: ModelCard) -> Any:
    """The folder's own conversion, or a new one, which needs TensorFlow."""
    import onnx

    from trigger_api.runtimes import onnx_runtime

    digest = runtimes.digest(folder)
    if onnx_runtime.find([folder], card, digest, threads=1):
        return onnx.load(folder / CONVERTED_FILE)
    from trigger_api.runtimes import onnx_export

    with tempfile.TemporaryDirectory() as work:
        onnx_export.convert(folder, card, digest, Path(work))
        return onnx.load(Path(work) / CONVERTED_FILE)
