from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.tiny_word import detector, sound
from trigger_api.datasets.speech import RATE
from trigger_api.evaluation.trigger import utterances as module
from trigger_api.evaluation.trigger.utterances import evaluate_utterances

HEADER = "file,speaker,transcript,word_start_s,word_end_s,phone\n"
CORPUS = {
    "alone": ("[click] Beep", 1.0, 1.2, "cell", ((0.4, 0.9), (1.04, 0.9))),
    "missed": ("beep {breath}", 1.0, 1.2, "landline", ((1.04, 0.3),)),
    "sentence": ("please beep now", 1.0, 1.2, "cell", ((0.4, 0.7), (1.04, 0.9), (2.4, 0.9))),
    "twice": ("beep beep", 1.0, 1.2, "cell", ((0.4, 0.9), (1.04, 0.9))),
    "other": ("nothing", 0, 0, "cell", ((2.0, 0.6),)),
    "unclear": ("please ((beep))", 1.0, 1.2, "cell", ((1.04, 0.9),)),
    "plural": ("two beeps", 1.0, 1.2, "cell", ((1.04, 0.9),)),
    "untimed": ("beep", 0, 0, "cell", ((1.04, 0.9),)),
    "beyond": ("beep", 1.0, 43_493, "cell", ((1.04, 0.9),)),
}


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "load", lambda _: detector())
    rows = [f"{name}.wav,{name},{text},{start},{end},{phone}" for name, (text, start, end, phone, _) in CORPUS.items()]
    for name, (*_, beeps) in CORPUS.items():
        soundfile.write(tmp_path / f"{name}.wav", sound(*beeps), RATE, subtype="FLOAT")
    path = tmp_path / "manifest.csv"
    path.write_text(HEADER + "\n".join([*rows, "gone.wav,x,nothing,0,0,cell"]) + "\n")
    return path


def test_words_count_alone_and_in_sentences(manifest: Path, tmp_path: Path) -> None:
    figures = evaluate_utterances(tmp_path, manifest, out=tmp_path / "out")["clean"]
    assert figures["set_aside"] == {"attempt": 1, "derived": 1, "said at an unknown time": 2, "unreadable": 1}
    assert figures["hours"] == pytest.approx((4 + 1) / 3_600, abs=1e-3)
    medium = figures["points"]["medium"]
    assert medium["missed_clips"] == ["missed.wav"]
    assert [(one["clip"], one["time_s"]) for one in medium["fired_falsely"]] == [
        ("sentence.wav", 0.48),
        ("other.wav", 2.08),
    ]
    missed = {kind: (one["missed"], one["words"]) for kind, one in medium["by_kind"].items()}
    assert missed == {"alone": (1, 3), "in sentences": (0, 1), "cell": (0, 3), "landline": (1, 1)}
    assert medium["speakers_heard_in"] == {"all": 3, "some": 0, "none": 1}
    assert (tmp_path / "out" / "clean" / "evaluation.png").exists()
    assert figures["points"]["0 in all"]["threshold"] == pytest.approx(0.7, abs=0.01)
    assert list(figures["points"])[3:] == ["0 in all", "1 in all", "3 in all", "10 in all", "0.5 an hour"]


def test_noise_is_a_condition_of_its_own(manifest: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).standard_normal(2 * RATE) / 9, RATE)
    figures = evaluate_utterances(tmp_path, manifest, noise=[tmp_path / "noise.wav"], snr_db=0)
    assert list(figures) == ["clean", "noise"]
    assert figures["clean"]["set_aside"] == figures["noise"]["set_aside"]


def test_a_word_that_nobody_says_is_not_measured(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nobody says the word"):
        evaluate_utterances(tmp_path, manifest, "operator")
