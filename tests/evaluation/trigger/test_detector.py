import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from helpers import wake_words
from helpers.tiny_word import card, detector, sound
from trigger_api.datasets.speech import RATE
from trigger_api.evaluation.trigger import detector as module
from trigger_api.evaluation.trigger.detector import load
from trigger_api.evaluation.trigger.embedder import Embedder
from trigger_api.model_card import CARD_FILE, CONVERTED_FILE, WEIGHTS_FILE, read_card, write_card
from trigger_api.registry import BUNDLED
from trigger_api.runtimes import digest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

STEPS = 4
NOISE = 0.05 * np.random.default_rng(0).standard_normal(20 * RATE).astype(np.float32)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small head, as a training writes it: scores of the latest four embeddings."""
    import keras

    from trigger_api.runtimes import onnx_export

    folder = tmp_path_factory.mktemp("head")
    keras.utils.set_random_seed(0)
    embeddings = keras.Input((None, 96), name="embeddings")
    scores = keras.layers.Conv1D(1, STEPS, activation="sigmoid")(embeddings)
    keras.Model({"embeddings": embeddings}, {"scores": keras.layers.Reshape((-1,))(scores)}).save(folder / WEIGHTS_FILE)
    described = card().model_copy(
        update={"sequence_lengths": (4, 20, 400), "context": STEPS - 1, "sha256": digest(folder)}
    )
    write_card(folder, described)
    onnx_export.convert(folder, described, digest(folder), folder)
    return folder


@pytest.fixture
def folder(head: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(head, tmp_path / "model"))


def rewrite(folder: Path, **changes: Any) -> None:
    write_card(folder, read_card(folder).model_copy(update=changes))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1_000])


def heard(context: int) -> Any:
    """The noise's embeddings ``[n, 96]``, after those of silence."""
    embeddings = Embedder().clip(np.append(NOISE, np.zeros(RATE // 2, np.float32)))
    return np.concatenate([np.tile(Embedder().silence, (context, 1)), embeddings])


@pytest.mark.parametrize("lengths", [(4, 20), (4, 400)])
def test_scores_are_those_of_the_embeddings_in_windows_of_any_length(folder: Path, lengths: tuple[int, ...]) -> None:
    session = onnxruntime.InferenceSession(folder / CONVERTED_FILE)
    rewrite(folder, sequence_lengths=lengths)
    found = load(folder).scores(NOISE)
    assert len(found) == 257  # of 20 s and the half second after
    np.testing.assert_allclose(found, session.run(None, {"embeddings": heard(STEPS - 1)[None]})[0][0], atol=1e-5)


def test_a_long_recording_is_heard_in_chunks(head: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load(head).scores(NOISE)
    monkeypatch.setattr(module, "_CHUNK", 50 * 1_280)
    np.testing.assert_allclose(load(head).scores(NOISE), whole, atol=1e-5)


def test_keras_scores_as_onnx_runtime_does(head: Path, folder: Path) -> None:
    (folder / CONVERTED_FILE).unlink()
    np.testing.assert_allclose(load(folder).scores(NOISE), load(head).scores(NOISE), atol=1e-4)


def test_a_file_of_openwakeword_is_a_detector(tmp_path: Path) -> None:
    onnx.save(wake_words.model(), tmp_path / "alexa_v0.1.onnx")
    found = load(tmp_path / "alexa_v0.1.onnx")
    windows = np.lib.stride_tricks.sliding_window_view(heard(15), 16, axis=0).swapaxes(1, 2)
    np.testing.assert_allclose(found.scores(NOISE), wake_words.scores(windows), atol=1e-4)


def test_scores_become_detections_at_a_threshold() -> None:
    scores = detector().scores(sound((1.04, 0.6), (2.0, 0.9)))
    assert [round(hit.time_ms) for hit in detector().detections(scores)] == [1_120, 2_080]
    assert [round(hit.time_ms) for hit in detector().detections(scores, 0.7)] == [2_080]
    assert list(detector().thresholds) == ["low", "medium", "high"]


@pytest.mark.parametrize("damage", [flip, cut])
def test_other_weights_than_the_card_s_are_refused(folder: Path, damage: Any) -> None:
    damage(folder / WEIGHTS_FILE)
    with pytest.raises(ValueError, match=r"model: the weights file is not the one .* \(sha256 differs\)"):
        load(folder)


def test_a_cut_file_is_one_even_if_the_card_does_not_know_it(folder: Path) -> None:
    rewrite(folder, sha256="")
    cut(folder / WEIGHTS_FILE)
    with pytest.raises(ValueError, match="not a whole one"):
        load(folder)


def test_a_damaged_file_cannot_be_used(folder: Path) -> None:
    rewrite(folder, sha256="")
    flip(folder / WEIGHTS_FILE)
    with pytest.raises(ValueError, match=r"model: the model cannot be used: [^\n]*$"):
        load(folder)


def test_a_card_of_another_model_is_refused(folder: Path) -> None:
    (embeddings,) = read_card(folder).inputs
    rewrite(folder, inputs=(embeddings.model_copy(update={"shape": (-1, 7)}),))
    with pytest.raises(ValueError, match=r"card\.json: a head takes embeddings, \[-1, 96\]"):
        load(folder)


def test_only_heads_are_evaluated() -> None:
    with pytest.raises(ValueError, match="only trigger words on the backbone"):
        load(BUNDLED / "embedding" / "speech-embedding" / "1")


def test_what_is_no_card_is_refused_in_words(folder: Path) -> None:
    (folder / CARD_FILE).write_text("{}")
    with pytest.raises(ValueError, match=r"card\.json: task: Field required; "):
        load(folder)


def test_a_folder_without_weights_holds_no_model(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no model\.keras"):
        load(folder)
