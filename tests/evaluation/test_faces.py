from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from helpers.tiny_emotions import FACE, add_detector, astronaut, encoded
from trigger_api.cli.main import app
from trigger_api.evaluation.faces import Report, matched, read_boxes

LEFT, TOP, RIGHT, BOTTOM = FACE


def test_each_face_is_found_once() -> None:
    known = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60]], np.float64)
    seen = np.array([[1, 0, 11, 10], [0, 0, 10, 10], [21, 0, 31, 10]], np.float64)
    assert matched(known, seen) == pytest.approx([1, 90 / 110])
    assert matched(known, seen[:0]) == matched(known[:0], seen) == []


def test_figures_of_nothing() -> None:
    figures = Report(1, 0, 0, 0, 0.0).figures()
    assert (figures["recall"], figures["precision"]) == (None, None)


def test_another_form_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text('{"a.jpg": [[1, 2, 3]]}')
    with pytest.raises(ValueError, match=r"a\.jpg"):
        read_boxes(tmp_path / "boxes.json")


def test_the_command(tmp_path: Path) -> None:
    photos, boxes, models = tmp_path / "photos", tmp_path / "boxes.json", tmp_path / "models"
    photos.mkdir()
    add_detector(models)
    (photos / "a.png").write_bytes(encoded(astronaut()))
    (photos / "b.png").write_bytes(encoded(np.zeros((50, 50, 3), np.uint8)))
    boxes.write_text(json.dumps({"a.png": [[LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP]], "b.png": [[5, 5, 20, 20]]}))
    arguments = ["evaluate", "faces", "--photos", str(photos), "--boxes", str(boxes), "--models", str(models)]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert (figures["photos"], figures["faces"], figures["found"], figures["false positives"]) == (2, 2, 1, 0)
    assert (figures["recall"], figures["precision"]) == (0.5, 1)
    assert "recall" in CliRunner().invoke(app, arguments).stdout
    bundled = CliRunner().invoke(app, [*arguments[:-2], "--json"])
    assert json.loads(bundled.stdout) == figures
    (photos / "b.png").unlink()
    assert CliRunner().invoke(app, arguments).exit_code == 2
