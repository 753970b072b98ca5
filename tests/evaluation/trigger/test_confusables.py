from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers.tiny_word import detector, sound
from trigger_api.datasets import pronunciation
from trigger_api.datasets.speech import Samples
from trigger_api.datasets.tts import Line, Voice
from trigger_api.evaluation.trigger import confusables as module
from trigger_api.evaluation.trigger.confusables import evaluate_confusables, sample

VOICES = [
    *(Voice("flite", name) for name in ("ann", "bob", "mute")),
    Voice("kokoro", "bf_cid"),
    Voice("espeak-ng", "de", accent=True),
]


def speak(lines: Sequence[Line], cache: Path) -> list[Samples | None]:
    """Near words are loud, most of all by Kokoro's voice, which reads phonemes."""
    loud = {"near": 0.6, "near!": 0.9}
    return [None if line.voice.name == "mute" else sound((1.04, loud.get(line.text, 0.1))) for line in lines]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load", lambda _: detector())
    monkeypatch.setattr(module, "voices", lambda: VOICES)
    monkeypatch.setattr(module, "say", speak)
    monkeypatch.setattr(pronunciation, "phonemes", lambda text, accent: f"{text}!" if accent == "en-gb" else "")


@pytest.mark.usefixtures("known")
def test_what_fires_is_named(tmp_path: Path) -> None:
    figures = evaluate_confusables(tmp_path, tmp_path, phrases=["far", "near"])
    assert figures["utterances"] == 6
    assert figures["voices"] == ["flite ann", "flite bob", "kokoro bf_cid"]
    low, medium = (figures["thresholds"][name] for name in ("low", "medium"))
    assert low["words"] == {"near": ["kokoro bf_cid"]}
    assert medium["words"] == {"near": ["flite ann", "flite bob", "kokoro bf_cid"]}
    assert (medium["threshold"], medium["fired"], medium["by_program"]) == (0.5, 3, {"flite": 2, "kokoro": 1})
    assert medium["share"] == pytest.approx([0.5, 0.19, 0.81], abs=0.01)


@pytest.mark.usefixtures("known")
def test_the_nearest_words_of_the_model_s_own_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "confusables", lambda word, count: [f"{word} {count}"])
    assert evaluate_confusables(tmp_path, tmp_path)["utterances"] == 3
    assert evaluate_confusables(tmp_path, tmp_path, "other", per_program=1)["utterances"] == 2


@pytest.mark.usefixtures("known")
def test_nobody_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "voices", list)
    with pytest.raises(ValueError, match="install"):
        evaluate_confusables(tmp_path, tmp_path, phrases=["near"])


def test_voices_are_spread_over_each_program() -> None:
    known = [Voice("espeak-ng", str(number)) for number in range(10)] + [Voice("piper", "joe")]
    assert [voice.name for voice in sample(known, 4)] == ["0", "3", "6", "9", "joe"]
    assert sample(VOICES, 9) == VOICES[:4]
