from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from helpers.tiny_emotions import RedDetector, add_emotions, detector_card, red
from trigger_api import service
from trigger_api.cli.main import app
from trigger_api.evaluation.emotions.detection_agreement import agreement, find_all
from trigger_api.media.image import Pixels
from trigger_api.model_card import ModelCard, TensorSpec
from trigger_api.scheduler import Tensors

FACES = np.array([[0, 0, 10, 10, 0.99], [20, 0, 30, 10, 0.99], [40, 0, 50, 10, 0.8]], np.float32)


def test_every_answer_is_a_face_or_extra() -> None:
    answers = np.array(
        [
            [0, 0, 10, 11, 0.9],  # the first face
            [0, 1, 10, 10, 0.8],  # the same one again
            [40, 0, 50, 10, 0.7],  # of this one MTCNN is not sure
            [20, 0, 30, 10, 0.2],  # too faint
        ],
        np.float32,
    )
    seen = agreement([FACES], [answers], 0.5)
    assert (seen.faces, seen.found, seen.extra) == (2, 1, 1)
    assert seen.figures()["found, percent"] == 50


def test_boxes_are_in_the_photo_s_pixels() -> None:
    spec = TensorSpec(name="image", shape=(64, 64, 3), dtype="uint8")
    card = ModelCard(task="emotions", name="some", version="1", inputs=(spec,), outputs=())

    def run(tensors: Tensors) -> Tensors:
        count = len(tensors["image"])
        box = np.array([[8, 4, 16, 12]], np.float32)
        emotions = np.full((count, 1, 7), 1 / 7, np.float32)
        return {"boxes": np.stack([box] * count), "scores": np.ones((count, 1), np.float32), "emotions": emotions}

    large, small = find_all([np.zeros((64, 128, 3), np.uint8), np.zeros((20, 30, 3), np.uint8)], card, run)
    assert large.tolist() == [[16, 8, 32, 24, 1]]
    assert small.tolist() == [[8, 4, 16, 12, 1]]


class OneFace:
    """In place of the package: every photo shows a face in its right half."""

    def detect_faces(self, pixels: Pixels) -> list[dict[str, Any]]:
        height, width = pixels.shape[:2]
        return [{"box": [width // 2, 0, width // 2, height], "confidence": 0.99}]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_emotions(tmp_path / "models", detector_card())
    (tmp_path / "photos").mkdir()
    for name, pixels in {"red": red(), "grey": np.full((40, 80, 3), 120, np.uint8)}.items():
        PIL.Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    monkeypatch.setitem(sys.modules, "mtcnn", SimpleNamespace(MTCNN=OneFace))
    monkeypatch.setattr(service, "load", lambda *_, **__: RedDetector())
    model = tmp_path / "models" / "emotions" / "yolo3" / "1"
    command = ["evaluate", "detector", "--photos", str(tmp_path / "photos"), "--model", str(model)]
    printed = CliRunner().invoke(app, [*command, "--json"])
    assert printed.exit_code == 0, printed.output
    figures = {"photos": 2, "faces": 2, "found": 1, "extra": 0, "found, percent": 50, "extra, percent": 0}
    assert json.loads(printed.stdout) == figures
    strict = CliRunner().invoke(app, [*command, "--threshold", "0.9", "--json"])
    assert json.loads(strict.stdout)["found"] == 0
    assert "found, percent" in CliRunner().invoke(app, command).stdout
