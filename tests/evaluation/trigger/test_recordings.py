import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.tiny_word import detector, sound
from trigger_api.datasets.speech import RATE
from trigger_api.evaluation.trigger import recordings as module
from trigger_api.evaluation.trigger.recordings import evaluate_trigger


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Recordings of the word, in one of which nobody speaks, by two people and somebody; and others."""
    monkeypatch.setattr(module, "load", lambda _: detector())
    speech = {
        "said/ann1": sound((1.04, 0.9)),
        "said/ann2": sound((2.0, 0.9)),
        "said/bob1": sound((1.04, 0.4)),
        "said/bob2": sound((1.04, 0.6)),
        "said/somebody": sound((1.04, 0.7)),
        "said/nobody": np.zeros(RATE, np.float32),
        "unsaid/quiet": sound(),
        "unsaid/loud": sound((2.0, 0.56)),
    }
    for name, samples in speech.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="FLOAT")
    return tmp_path / "said", tmp_path / "unsaid"


def test_misses_and_false_accepts_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    said, unsaid = folders
    figures = evaluate_trigger(tmp_path, [said], [unsaid], tmp_path / "out", speaker="(ann|bob)")
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == figures
    assert (tmp_path / "out" / "evaluation.png").stat().st_size < 60_000
    assert (figures["left_out"], figures["hours"]) == (1, 0.002)
    assert list(figures["points"]) == [
        *("low", "medium", "high", "0 in all", "1 in all", "3 in all", "0.1 an hour", "0.5 an hour", "2 an hour")
    ]
    medium = figures["points"]["medium"]
    assert (medium["words"], medium["missed"], medium["missed_clips"]) == (5, 1, ["bob1.wav"])
    (fired,) = medium["fired_falsely"]
    assert (fired["clip"], fired["time_s"]) == ("loud.wav", 2.08)
    assert fired["score"] == pytest.approx(0.56, abs=0.01)
    assert medium["speakers_heard_in"] == {"all": 1, "some": 1, "none": 0}
    assert medium["delay_ms"]["p50"] == pytest.approx(-80, abs=30)
    assert figures["points"]["0 in all"]["false_accepts"] == 0
    assert figures["points"]["0 in all"]["threshold"] == pytest.approx(0.56, abs=0.01)


def test_noise_is_mixed_into_everything(folders: tuple[Path, Path], tmp_path: Path) -> None:
    said, unsaid = folders
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).standard_normal(2 * RATE) / 9, RATE)
    figures = evaluate_trigger(tmp_path, [said], [unsaid], noise=[tmp_path / "noise.wav"], snr_db=-20)
    assert len(figures["points"]["medium"]["fired_falsely"]) >= 1
    assert "speakers_heard_in" not in figures["points"]["medium"]


def test_recordings_of_both_kinds_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both kinds of recordings"):
        evaluate_trigger(tmp_path, [tmp_path], [tmp_path])


def test_somebody_has_to_speak(folders: tuple[Path, Path], tmp_path: Path) -> None:
    said, unsaid = folders
    with pytest.raises(ValueError, match="nobody speaks"):
        evaluate_trigger(tmp_path, [said / "nobody.wav"], [unsaid])


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("(", "not a regular expression"), ("ann|bob", "needs one group"), ("(zoe)", "finds no speaker")],
)
def test_who_speaks_is_found_by_one_group(folders: tuple[Path, Path], tmp_path: Path, pattern: str, words: str) -> None:
    said, unsaid = folders
    with pytest.raises(ValueError, match=words):
        evaluate_trigger(tmp_path, [said], [unsaid], speaker=pattern)
