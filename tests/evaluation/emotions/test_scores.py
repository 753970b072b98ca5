from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
import pytest
from keras import layers, ops
from typer.testing import CliRunner

from trigger_api.cli.main import app
from trigger_api.datasets.fer2013 import LABELS, SIDE, Split
from trigger_api.evaluation.emotions.scores import Report, evaluate_emotions
from trigger_api.model_card import WEIGHTS_FILE, ModelCard, TensorSpec, write_card

GREYS = np.array([0, 40, 80, 120, 160, 200, 240], np.uint8)
FACES = GREYS[:, None, None].repeat(SIDE, axis=1).repeat(SIDE, axis=2)
SPLIT = Split(FACES, np.arange(7), np.zeros((7, 0), np.float32))


def written(folder: Path, network: keras.Model, shape: tuple[int, ...], outputs: dict[str, tuple[int, ...]]) -> Path:
    folder.mkdir(parents=True)
    network.save(folder / WEIGHTS_FILE)
    specs = tuple(TensorSpec(name=name, shape=size) for name, size in outputs.items())
    taken = (TensorSpec(name="image", shape=shape, dtype="uint8"),)
    card = ModelCard(task="emotions", name="grey", version="1", labels=LABELS, inputs=taken, outputs=specs)
    write_card(folder, card)
    return folder


def told(grey: Any) -> Any:
    """Which of the seven greys is nearest."""
    return ops.softmax(-ops.abs(grey - GREYS.astype(np.float32)) / 4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In place of a classifier: it tells seven greys apart."""
    image = layers.Input((24, 24, 1), name="image", dtype="uint8")
    grey = ops.mean(ops.cast(image, "float32"), axis=(1, 2))
    network = keras.Model({"image": image}, {"probabilities": told(grey)})
    return written(tmp_path_factory.mktemp("grey") / "1", network, (24, 24, 1), {"probabilities": (7,)})


def test_a_classifier_is_measured(model: Path, tmp_path: Path) -> None:
    figures = evaluate_emotions(SPLIT, model).figures()
    assert figures["accuracy"] == 100
    assert figures["classes"]["sad"] == {"precision": 100, "recall": 100, "faces": 1}
    assert "agreement with a majority of votes" not in figures

    PIL.Image.fromarray(FACES.transpose(1, 0, 2).reshape(SIDE, -1)).save(tmp_path / "sheet.png")
    np.savez(tmp_path / "labels.npz", classes=np.array(LABELS), y_part=np.arange(7, dtype=np.uint8)[::-1])
    files = ["--sheet", str(tmp_path / "sheet.png"), "--labels", str(tmp_path / "labels.npz")]
    command = ["evaluate", "emotions", "--model", str(model), *files, "--split"]
    picture = tmp_path / "confusion.png"
    printed = CliRunner().invoke(app, [*command, "part", "--json", "--picture", str(picture)])
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout)["accuracy"] == pytest.approx(100 / 7, abs=0.01)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "surprised" in CliRunner().invoke(app, [*command, "part"]).stdout
    assert CliRunner().invoke(app, [*command, "whole"]).exit_code == 2
    unknown = CliRunner().invoke(app, ["evaluate", "emotions", "--model", "nobody", *files, "--split", "part"])
    assert unknown.exit_code == 2


def test_a_model_for_whole_photos_answers_by_its_nearest_box(tmp_path: Path) -> None:
    """It looks at the middle of the upper left face only: the others are not found."""
    image = layers.Input((128, 128, 3), name="image", dtype="uint8")
    grey = ops.mean(ops.cast(image, "float32")[:, 30:34, 30:34], axis=(1, 2))[:, :1]
    emotions = ops.expand_dims(told(grey), 1)
    box = np.array([19.0, 14.0, 45.0, 50.0], np.float32)
    outputs = {"boxes": ops.ones_like(emotions[:, :, :4]) * box, "scores": emotions[:, :, 0] * 0 + 1}
    network = keras.Model({"image": image}, {**outputs, "emotions": emotions})
    shapes = {"boxes": (1, 4), "scores": (1,), "emotions": (1, 7)}
    report = evaluate_emotions(SPLIT, written(tmp_path / "1", network, (128, 128, 3), shapes))
    assert report.probabilities.any(axis=1).tolist() == [True, False, False, False, True, False, False]
    assert report.figures()["accuracy"] == pytest.approx(100 * 2 / 7, abs=0.01)
    assert report.figures()["not found"] == 5


def test_agreement_counts_where_most_people_agree() -> None:
    votes = np.zeros((7, 10), np.float32)
    votes[0, 1] = 1.0  # happiness, as answered
    votes[1, 0] = 0.8  # neutral, and sad was answered
    votes[2, 2] = votes[2, 0] = 0.5  # nobody wins
    figures = Report(np.eye(7), Split(FACES, np.arange(7), votes)).figures()
    assert figures["faces with such a majority"] == 2
    assert figures["agreement with a majority of votes"] == 50
