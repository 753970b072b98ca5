from collections.abc import Sequence
from pathlib import Path

import pytest

from trigger_api.evaluation.trigger import phrases as module
from trigger_api.evaluation.trigger.listening import Listener
from trigger_api.evaluation.trigger.phrases import evaluate_phrases
from trigger_api.tasks.log_mel import LogMel
from trigger_api.training.trigger.recordings import Samples
from trigger_api.training.trigger.speech import Line, Voice

from .test_trials import FRONT_END, beeps, card, hears_highs


def speak(lines: Sequence[Line], cache: Path) -> list[Samples | None]:
    return [None if line.voice.name == "mute" else beeps(*([1.0] if line.text == "near" else [])) for line in lines]


def test_what_fires_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load", lambda _: Listener(card(), LogMel(FRONT_END), hears_highs))
    monkeypatch.setattr(module, "voices", lambda: [Voice("any", name) for name in ("ann", "bob", "mute")])
    monkeypatch.setattr(module, "say", speak)
    figures = evaluate_phrases(tmp_path, tmp_path, ["near", "far"])
    assert figures["near"] == "2 of 2"
    assert figures["far"] == "0 of 2"
    assert figures["of"] == 4
    assert figures["fired"] == pytest.approx([0.5, 0.15, 0.85], abs=0.01)


def test_one_program_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load", lambda _: Listener(card(), LogMel(FRONT_END), hears_highs))
    monkeypatch.setattr(module, "voices", lambda: [Voice("any", "ann"), Voice("other", "bob"), Voice("other", "cid")])
    monkeypatch.setattr(module, "say", speak)
    assert evaluate_phrases(tmp_path, tmp_path, ["near"], "other")["near"] == "2 of 2"


def test_nobody_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load", lambda _: Listener(card(), LogMel(FRONT_END), hears_highs))
    monkeypatch.setattr(module, "voices", list)
    with pytest.raises(ValueError, match="install"):
        evaluate_phrases(tmp_path, tmp_path, ["near"])
