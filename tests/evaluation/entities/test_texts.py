import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.tiny_ner import PlaceModel, add_tiny_ner
from trigger_api import service
from trigger_api.cli.main import app


def test_names_count_where_they_are_in_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_tiny_ner(tmp_path / "1")
    monkeypatch.setattr(service, "load", lambda *_, **__: PlaceModel())
    file = tmp_path / "places.md"
    file.write_text("I love [Paris](LOC)-love.\n[Rome](PER) love [Bob](PER)\n", encoding="utf-8")
    command = ["evaluate", "entities", str(file), "--model", str(tmp_path / "1"), "--json"]
    printed = CliRunner().invoke(app, command)
    assert printed.exit_code == 0, printed.output
    figures = json.loads(printed.stdout)
    assert figures["overall"] == {"precision": 50, "recall": 33.33, "f1": 40, "spans": 3}
    printed = CliRunner().invoke(app, [*command, "--types", "LOC"])
    assert json.loads(printed.stdout)["overall"] == {"precision": 50, "recall": 100, "f1": 66.67, "spans": 1}
    for option in (["--isolated"], ["--lowercase"], ["--part", "1"]):
        refused = CliRunner().invoke(app, [*command, *option])
        assert refused.exit_code == 2
        assert "marked" in refused.output
