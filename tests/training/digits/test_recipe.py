from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from helpers.printed_digits import LABELS, digit
from trigger_api.cli.main import app
from trigger_api.datasets.mnist import read_images, read_labels
from trigger_api.evaluation.digits import evaluate_digits
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.tasks.digits.mnist import normalise
from trigger_api.training.digits.augmentation import Augmentation
from trigger_api.training.digits.negatives import make_negatives, synthetic_printed_digits
from trigger_api.training.digits.network import ModelConfig
from trigger_api.training.digits.recipe import NONE, train_digits
from trigger_api.training.loop import TrainingConfig

TEMPLATES = np.stack([np.asarray(255 * normalise(digit(text)), np.uint8) for text in "0123456789"])


@pytest.fixture
def material(tmp_path: Path) -> dict[str, Path]:
    """Two hundred printed digits, augmented."""
    labels = np.arange(200) % 10
    pictures = Augmentation(noisy=0)(np.asarray(TEMPLATES[labels] / 255, np.float32), np.random.default_rng(0))
    np.savez(tmp_path / "x.npz", x=np.asarray(255 * pictures, np.uint8))
    np.savez(tmp_path / "y.npz", y=labels)
    return {"images": tmp_path / "x.npz", "labels": tmp_path / "y.npz"}


def test_the_same_seed_draws_the_same_negatives_none_of_them_a_one() -> None:
    made = make_negatives(80, TEMPLATES, np.arange(10), seed=1)
    assert (made == make_negatives(80, TEMPLATES, np.arange(10), seed=1)).all()
    assert made.shape == (80, 28, 28)
    assert ((made.max(axis=1) > 100).sum(axis=1) >= 8).all()


def test_printed_digits_have_their_labels() -> None:
    pictures, labels = synthetic_printed_digits(30, seed=0)
    assert pictures.shape == (30, 28, 28)
    assert set(labels) <= set(range(10))


@pytest.mark.slow
def test_the_whole_recipe_learns_resumes_and_is_measured(material: dict[str, Path], tmp_path: Path) -> None:
    output, lines = tmp_path / "tiny" / "3", list[str]()
    files = partial(train_digits, images=material["images"], labels=material["labels"])
    train = partial(files, output=output, work=tmp_path / "work", held_out=40, negatives=40)
    config = TrainingConfig(batch_size=40, epochs=12, learning_rate=0.02)
    model_config = ModelConfig(((8, 2), (16, 2)))
    for _ in range(2):
        train(config=config, model_config=model_config, precision="float32", log=lines.append)
    card = read_card(output)
    assert (card.task, card.name, card.version, card.labels) == ("digits", "tiny", "3", LABELS)
    assert sum(line.startswith("epoch") for line in lines) == 12, "the second run had nothing left to do"
    assert (output / WEIGHTS_FILE).stat().st_size < 100_000

    images, labels = read_images(material["images"]), read_labels(material["labels"])
    figures = evaluate_digits(images, labels, output).figures()
    assert figures["pictures"] == 200
    assert figures["accuracy"] > 80
    assert set(figures["digits"]) == set("0123456789")
    result = CliRunner().invoke(app, ["evaluate", "digits", *options(material), "--model", str(output), "--json"])
    assert json.loads(result.stdout) == figures
    assert (
        "accuracy" in CliRunner().invoke(app, ["evaluate", "digits", *options(material), "--model", str(output)]).stdout
    )
    few = {name: tmp_path / f"few-{name}.npz" for name in material}
    np.savez(few["images"], x=images[:9])
    np.savez(few["labels"], y=labels[:9])
    searched = ["evaluate", "digits", *options(few), "--model", str(output), "--full-pipeline", "--json"]
    assert json.loads(CliRunner().invoke(app, searched).stdout)["pictures"] == 9
    found = evaluate_digits(images[:12], labels[:12], output, full_pipeline=True)
    assert set(found.answers) <= {*range(10), NONE}


def options(material: dict[str, Path]) -> list[str]:
    return ["--images", str(material["images"]), "--labels", str(material["labels"])]


def test_the_command_reports_what_is_wrong(material: dict[str, Path], tmp_path: Path) -> None:
    swapped = {"images": material["labels"], "labels": material["images"]}
    result = CliRunner().invoke(
        app, ["train", "digits", *options(swapped), "--out", str(tmp_path), "--work", str(tmp_path)]
    )
    assert result.exit_code == 2
    assert "no array named x" in result.output
    assert CliRunner().invoke(app, ["evaluate", "digits", *options(swapped), "--model", str(tmp_path)]).exit_code == 2


def test_images_of_another_size_are_refused(material: dict[str, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", x=np.zeros((200, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="28 x 28"):
        train_digits(images=tmp_path / "odd.npz", labels=material["labels"], output=tmp_path, work=tmp_path)
    with pytest.raises(ValueError, match="200 pictures, but 1 labels"):
        evaluate_digits(np.zeros((200, 8, 8), np.uint8), np.zeros(1, np.int64), tmp_path)
