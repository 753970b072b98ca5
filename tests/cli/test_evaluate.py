import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from trigger_api.cli.evaluate import app
from trigger_api.evaluation.trigger import confusables, recordings, utterances
from trigger_api.evaluation.trigger.report import missed_figures, point_figures
from trigger_api.evaluation.trigger.scoring import FalseAccept, OperatingPoint


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def measured() -> dict[str, Any]:
    point = OperatingPoint(0.9, (), (), (), (FalseAccept("loud.wav", 2.0, 0.95),), 2.0)
    figures = point_figures(point) | {"by_kind": {"alone": missed_figures(point)}}
    return {"hours": 2.0, "left_out": 1, "set_aside": {"attempt": 4}, "points": {"medium": figures}}


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("seed", "-1", "'--seed'"),
        ("snr", "nan", "finite number"),
        ("snr", "inf", "finite number"),
        ("noise", None, "no noise to mix in"),
        ("speaker", "person", "one group"),
    ],
)
def test_a_trigger_is_not_measured_with_faulty_options(
    tmp_path: Path, option: str, value: str | None, words: str
) -> None:
    (tmp_path / "a.wav").touch()
    options = [f"--{name}={tmp_path}" for name in ("positives", "negatives")]
    code, output = run("trigger", *options, f"--{option}={value or tmp_path}")
    assert code == 2
    assert words in output


def test_a_trigger_s_figures_are_a_table_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "evaluate_trigger", lambda *_, **__: measured())
    options = ["trigger", str(tmp_path), *(f"--{name}={tmp_path}" for name in ("positives", "negatives"))]
    code, output = run(*options)
    assert code == 0
    assert "1 recordings without speech left out" in output
    assert "fired falsely: loud.wav (2.0 s, 0.950)" in output
    assert json.loads(run(*options, "--json")[1]) == measured()


def test_utterances_have_tables_a_condition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterances, "evaluate_utterances", lambda *_, **__: {"clean": measured(), "noise": measured()})
    (tmp_path / "manifest.csv").touch()
    options = ["utterances", str(tmp_path), f"--manifest={tmp_path / 'manifest.csv'}"]
    output = run(*options)[1]
    assert "clean; set aside: 4 attempt" in output
    assert "noise; set aside: 4 attempt" in output
    assert list(json.loads(run(*options, "--json")[1])) == ["clean", "noise"]


def test_confusables_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"captivate": ["flite kal", "flite slt"], "activist": ["flite kal"]}
    low = {"threshold": 0.9, "fired": 3, "words": words, "by_program": {"flite": 3}}
    figures = {"utterances": 48, "voices": [], "thresholds": {"low": low}}
    monkeypatch.setattr(confusables, "evaluate_confusables", lambda *_: figures)
    output = run("confusables", str(tmp_path))[1]
    assert "of 48" in output
    assert "flite 3" in output
    assert "captivate (2)" in output
    assert json.loads(run("confusables", str(tmp_path), "--json")[1]) == figures
