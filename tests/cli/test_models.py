from __future__ import annotations

from pathlib import Path

import pytest

from helpers import wake_words
from helpers.beep import add_model, trigger_card
from helpers.commands import run
from trigger_api.runtimes import openwakeword, openwakeword_export

pytestmark = pytest.mark.usefixtures("numpy_model", "quiet")


def test_lists_them(models: Path) -> None:
    code, output = run("models", "--models", str(models))
    assert code == 0
    assert "beep" in output


def test_descriptions_are_printed_unchanged(models: Path) -> None:
    add_model(models, trigger_card("chime").model_copy(update={"description": "hears [/] and [bold]"}))
    assert "hears [/] and [bold]" in run("models", "--models", str(models))[1]


@pytest.mark.slow
def test_a_wake_word_needs_no_conversion(tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx")
    path = wake_words.write(tmp_path / "alexa.onnx")
    assert run("convert", str(path)) == (0, "alexa 1: needs no conversion\n")


def test_export_names_the_file_by_the_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = openwakeword.card(wake_words.write(tmp_path / "hey_jarvis.onnx"))
    folder = add_model(tmp_path / "models", card)
    monkeypatch.setattr(openwakeword_export, "export", lambda folder, out: card)
    assert run("export", str(folder)) == (0, "hey_jarvis.onnx: detects 'hey jarvis' at a threshold of 0.5\n")
    out = tmp_path / "other.onnx"
    assert run("export", str(folder), "--format", "openwakeword", "--out", str(out))[1].startswith(str(out))


def test_export_reports_what_it_cannot_export(models: Path) -> None:
    add_model(models, trigger_card("alarm"))
    code, output = run("export", str(models))
    assert code == 2
    assert output.endswith(f"models in {models}: choose the folder of one\n")
    backbone = next((models / "embedding").glob("*/*"))
    assert run("export", str(backbone))[1].endswith("is not a head on the backbone speech-embedding\n")
