from __future__ import annotations

import json
from pathlib import Path

import PIL.Image
import pytest
import skimage.data
from typer.testing import CliRunner

from trigger_api.cli.main import app
from trigger_api.datasets.coco_json import Labelled, Photo, part, read_labels, select
from trigger_api.evaluation.objects import average_precision
from trigger_api.tasks.objects.task import DetectedObject

LABELS = ("cat", "cup", "dog")


def photo(*things: tuple[str, tuple[float, float, float, float]], crowd: bool = False) -> Photo:
    objects = [Labelled(label=label, box=box, iscrowd=crowd) for label, box in things]
    return Photo(width=100, height=50, objects=objects)


PHOTOS = {
    "a": photo(("cat", (0, 0, 50, 50)), ("cup", (60, 10, 20, 20))),
    "b": photo(("cat", (10, 10, 30, 30)), ("unicorn", (0, 0, 9, 9))),
    "c": photo(("cup", (0, 0, 100, 50)), crowd=True),
}
RIGHT = {
    "a": [DetectedObject("cat", 0.9, 0.0, 0.0, 0.5, 1.0), DetectedObject("cup", 0.8, 0.6, 0.2, 0.8, 0.6)],
    "b": [DetectedObject("cat", 0.7, 0.1, 0.2, 0.4, 0.8)],
    "c": [],
}


def test_what_is_right_is_a_hundred_percent() -> None:
    found = average_precision(PHOTOS, RIGHT, LABELS)
    assert (found.ap, found.ap50) == pytest.approx((100, 100))
    assert found.classes == {"cat": pytest.approx((100, 100, 2)), "cup": pytest.approx((100, 100, 1))}
    assert (found.photos, found.objects) == (3, 3)


def test_a_box_a_bit_off_counts_for_less() -> None:
    moved = {**RIGHT, "b": [DetectedObject("cat", 0.7, 0.1, 0.3, 0.4, 0.9)]}  # it overlaps by 71 %
    found = average_precision(PHOTOS, moved, LABELS)
    assert found.ap50 == pytest.approx(100)
    assert 70 < found.ap < 95


def test_the_wrong_class_counts_as_missed_and_a_crowd_does_not_count() -> None:
    wrong = {
        **RIGHT,
        "a": [DetectedObject("dog", 0.9, 0.0, 0.0, 0.5, 1.0), RIGHT["a"][1]],
        "c": [DetectedObject("cup", 0.95, 0, 0, 1, 1)],
    }
    found = average_precision(PHOTOS, wrong, LABELS)
    assert found.classes["cat"][1] == pytest.approx(50, abs=1)
    assert found.classes["cup"][1] == pytest.approx(100)


def test_nothing_found() -> None:
    found = average_precision(PHOTOS, {name: [] for name in PHOTOS}, LABELS)
    assert (found.ap, found.ap50) == (0, 0)
    assert set(found.figures()["classes"]) == {"cat", "cup"}


def test_parts_go_by_name() -> None:
    names = {f"{number:012d}.jpg": PHOTOS["a"] for number in range(3_000)}
    sizes = [len(select(names, [each])) for each in ("train", "validation", "held-out")]
    assert sizes == pytest.approx([1500, 500, 1000], rel=0.1)
    assert len(select(names, ["train", "validation", "held-out"])) == 3_000
    assert part("000000000009.jpg") == part("000000000009.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos and their labels."""
    PIL.Image.fromarray(skimage.data.chelsea()).save(tmp_path / "cat.png")
    PIL.Image.fromarray(skimage.data.coffee()).save(tmp_path / "cup.png")
    images = {
        "cat.png": {"width": 451, "height": 300, "objects": [{"label": "cat", "box": [0, 0, 451, 300], "iscrowd": 0}]},
        "cup.png": {"width": 600, "height": 400, "objects": [{"label": "cup", "box": [162, 16, 258, 280]}]},
    }
    (tmp_path / "labels.json").write_text(json.dumps({"note": "ours", "images": images}))
    return tmp_path


def test_the_command(folder: Path) -> None:
    command = ["evaluate", "objects", "--photos", str(folder), "--labels", str(folder / "labels.json")]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["AP50"] == 100
    assert figures["classes"]["cup"]["AP"] > 70
    assert (figures["photos"], figures["objects"]) == (2, 2)
    table = CliRunner().invoke(app, command)
    assert "all, on 2 photos" in table.stdout


@pytest.mark.parametrize("content", ["", "[]", '{"images": {"a": {"width": 0, "height": 1, "objects": []}}}'])
def test_labels_of_another_form(tmp_path: Path, content: str) -> None:
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(ValueError, match="validation error"):
        read_labels(tmp_path / "labels.json")
    command = ["evaluate", "objects", "--photos", str(tmp_path), "--labels", str(tmp_path / "labels.json")]
    assert CliRunner().invoke(app, command).exit_code == 2
