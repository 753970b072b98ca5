from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from helpers import wake_words
from helpers.wake_words import EMBEDDING, Floats
from trigger_api import runtimes
from trigger_api.model_card import Decision, ModelCard, TensorSpec, read_card, write_card
from trigger_api.runtimes import LoadOptions, digest, openwakeword, openwakeword_export
from trigger_api.tasks.trigger.detector import Debouncer

keras = pytest.importorskip("keras")

DECISION = Decision(threshold=0.6, patience=2, refractory_ms=400, delay_ms=160, sensitivities={"high": 0.4})


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head of two ensemble members, as written by training."""
    from trigger_api.runtimes import onnx_export
    from trigger_api.training.trigger.head import Shape, serving_network, training_network

    shape, folder = Shape(width=8, members=2), tmp_path_factory.mktemp("models") / "trigger/hey-jarvis/1"
    mean, deviation = np.zeros(EMBEDDING, np.float32), np.full(EMBEDDING, 5, np.float32)
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(3)  # with some weights every score is close to 0
    network = serving_network(training_network(shape, mean, deviation, 0.1), shape)
    for layer in (network.get_layer("logit0"), network.get_layer("logit1")):  # as confident as a trained one
        layer.set_weights([20 * layer.get_weights()[0], layer.get_weights()[1]])
    network.save(folder / "model.keras")
    card = ModelCard(
        task="trigger",
        name="hey-jarvis",
        version="1",
        labels=("hey jarvis",),
        inputs=(TensorSpec(name="embeddings", shape=(-1, EMBEDDING)),),
        outputs=(TensorSpec(name="scores", shape=(-1,)),),
        sequence_lengths=(shape.context + 1, 144),
        frame_ms=80,
        context=shape.context,
        decision=DECISION,
        backbone="speech-embedding",
    )
    write_card(folder, card)
    onnx_export.convert(folder, card, digest(folder), folder)
    return folder


@pytest.fixture(scope="module")
def file(head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "hey_jarvis.onnx"
    assert openwakeword_export.export(head, path).name == "hey-jarvis"
    return path


def scores(path: Path, card: ModelCard, embeddings: Floats) -> Floats:
    """Scores as they are served, without those of an incomplete window of the file's."""
    network = runtimes.load(path, card, LoadOptions())
    run = network.compile([TensorSpec(name="embeddings", shape=embeddings.shape[1:])], len(embeddings))
    return np.asarray(run({"embeddings": embeddings})["scores"])[:, -(embeddings.shape[1] - 15) :]


def test_the_file_maps_a_window_to_a_score(file: Path) -> None:
    session = onnxruntime.InferenceSession(file)
    assert [each.shape for each in session.get_inputs()] == [[1, 16, EMBEDDING]]
    assert [each.shape for each in session.get_outputs()] == [[1, 1]]


def test_the_package_detects_with_it(head: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = wake_words.embeddings(80)
    heard = wake_words.heard_by_the_package([file], embeddings[0], monkeypatch)["hey_jarvis"]
    ours = scores(head, read_card(head), embeddings)[0]
    assert heard[15:] == pytest.approx(ours, abs=1e-3)
    assert np.std(heard) > 0.1


def test_served_again_it_detects_the_same(head: Path, file: Path) -> None:
    card, again = read_card(head), openwakeword.card(file)
    assert (again.name, again.labels, again.decision, again.context) == ("hey_jarvis", ("hey jarvis",), DECISION, 15)
    embeddings = wake_words.embeddings(400)
    ours, theirs = scores(head, card, embeddings)[0], scores(file, again, embeddings)[0]
    assert theirs == pytest.approx(ours, abs=1e-5)
    first, second = (
        Debouncer(one.decision, one.frame_ms).push(given)
        for one, given in ((card, ours), (again, theirs))
        if one.decision and one.frame_ms
    )
    assert first
    assert [hit.time_ms for hit in first] == [hit.time_ms for hit in second]


def test_a_longer_context_makes_a_longer_window(head: Path) -> None:
    card = read_card(head)
    assert openwakeword_export.frames(card) == 16
    assert openwakeword_export.frames(card.model_copy(update={"context": 20})) == 21


def test_without_a_conversion_one_is_made(head: Path, file: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(head, tmp_path / "head")
    (bare / "model.onnx").unlink()
    openwakeword_export.export(bare, tmp_path / "other.onnx")
    embeddings = wake_words.embeddings(20)
    others = scores(tmp_path / "other.onnx", openwakeword.card(tmp_path / "other.onnx"), embeddings)
    assert others == pytest.approx(scores(file, openwakeword.card(file), embeddings), abs=1e-6)


def test_what_cannot_be_exported_is_rejected(head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"word\.bin: the file name must end in \.onnx"):
        openwakeword_export.export(head, tmp_path / "word.bin")
    other = tmp_path / "other"
    other.mkdir()
    write_card(other, read_card(head).model_copy(update={"backbone": "another"}))
    with pytest.raises(ValueError, match="hey-jarvis is not a head on the backbone speech-embedding"):
        openwakeword_export.export(other, tmp_path / "word.onnx")
    monkeypatch.setattr(openwakeword_export, "_TOLERANCE", -1)
    with pytest.raises(ValueError, match=r"word\.onnx would give scores that differ from the head's"):
        openwakeword_export.export(head, tmp_path / "word.onnx")
    assert not (tmp_path / "word.onnx").exists()
