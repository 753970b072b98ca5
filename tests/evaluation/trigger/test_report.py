import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.evaluation.trigger import report as module
from trigger_api.evaluation.trigger.listening import Listener
from trigger_api.evaluation.trigger.report import (
    at_rates,
    draw,
    evaluate_trigger,
    read_noise,
    summary,
    surroundings,
    table,
)
from trigger_api.evaluation.trigger.trials import Clip, Trial, listen
from trigger_api.tasks.log_mel import LogMel
from trigger_api.training.trigger.recordings import RATE

from .test_trials import FRONT_END, beeps, card, hears_highs


@pytest.fixture(scope="module")
def trial() -> Trial:
    listener = Listener(card(), LogMel(FRONT_END), hears_highs)
    heard = [Clip("one", beeps(1.0), (0.8, 1.0)), Clip("deaf", beeps(), (0.8, 1.0)), Clip("none", beeps(0.5, 2.0))]
    return listen(listener, heard)


def test_the_summary_is_json_and_complete(trial: Trial) -> None:
    figures = json.loads(json.dumps(summary(trial), allow_nan=False))
    own = figures["at the card's threshold"]
    assert (own["words"], own["missed"][0], own["false accepts"]) == (2, 0.5, 2)
    assert "at 0.5 false accepts an hour" in figures
    assert figures["real-time factor"] > 0


def test_few_seconds_allow_no_false_accept(trial: Trial) -> None:
    assert all(point.false_accepts == 0 for _, point in at_rates(trial))


def test_the_table_names_every_rate(trial: Trial) -> None:
    text = table(trial)
    assert text.count("\n") == 8
    assert "| card | 0.5000 | 1 of 2 (9.5 - 90.5 %)" in text
    assert text.endswith("left out, without speech: 0; words that seem longer than 2.5 s: 0\n")


def test_the_curve_is_a_small_picture(trial: Trial, tmp_path: Path) -> None:
    draw(trial.curve(), tmp_path / "det.png")
    assert (tmp_path / "det.png").stat().st_size < 60_000


def test_quiet_surroundings_change_nothing() -> None:
    assert surroundings([], 10, reverb=False) is None


@pytest.mark.parametrize("reverb", [False, True])
def test_noise_comes_at_the_ratio_asked_for(reverb: bool) -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    change = surroundings([noise], 10, reverb=reverb)
    assert change is not None
    sound = beeps(1.0)
    changed = change(sound, np.random.default_rng(1))
    assert len(changed) == len(sound)
    assert np.abs(changed[-RATE:]).mean() > 10 * np.abs(sound[-RATE:]).mean()


def test_recordings_of_both_kinds_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both kinds of recordings"):
        evaluate_trigger(tmp_path, [tmp_path], [tmp_path])


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Recordings of the word, in one of which nobody speaks and in one somebody goes on; and others."""
    monkeypatch.setattr(module, "load", lambda _: Listener(card(), LogMel(FRONT_END), hears_highs))
    speech = {
        "said/one": beeps(1.0),
        "said/nobody": np.zeros(RATE, np.float32),
        "said/long": beeps(*np.arange(0.5, 3.5, 0.2), total=4.0),
        "unsaid/none": beeps(),
    }
    for name, samples in speech.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    return tmp_path / "said", tmp_path / "unsaid"


def test_doubtful_recordings_of_the_word_are_counted(folders: tuple[Path, Path], tmp_path: Path) -> None:
    said, unsaid = folders
    figures = evaluate_trigger(tmp_path, [said], [unsaid], tmp_path / "out")
    assert figures["recordings of the word left out, without speech"] == 1
    assert figures["words that seem longer than 2.5 s"] == 1
    assert "without speech: 1; words" in (tmp_path / "out" / "evaluation.md").read_text()


def test_somebody_must_say_the_word(folders: tuple[Path, Path], tmp_path: Path) -> None:
    said, unsaid = folders
    with pytest.raises(ValueError, match="nobody speaks"):
        evaluate_trigger(tmp_path, [said / "nobody.wav"], [unsaid])


def test_noise_that_is_none_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (noise := tmp_path / "noise").mkdir()
    said, unsaid = folders
    for name, samples in (("empty", np.zeros(0)), ("short", beeps(total=0.5)), ("silent", np.zeros(2 * RATE))):
        with pytest.raises(ValueError, match="no noise to mix in"):
            evaluate_trigger(tmp_path, [said], [unsaid], noise=[noise])
        soundfile.write(noise / f"{name}.wav", samples, RATE)
    (noise / "text.wav").write_text("no audio")
    soundfile.write(noise / "rain.wav", beeps(), RATE)
    assert [len(clip) for clip in read_noise([noise])] == [3 * RATE]


@pytest.mark.parametrize("ratio", [float("nan"), float("inf")])
def test_a_ratio_is_finite(folders: tuple[Path, Path], tmp_path: Path, ratio: float) -> None:
    said, unsaid = folders
    with pytest.raises(ValueError, match="finite"):
        evaluate_trigger(tmp_path, [said], [unsaid], snr_db=ratio)
