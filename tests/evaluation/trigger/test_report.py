import json
from pathlib import Path

import numpy as np
import pytest

from trigger_api.evaluation.trigger.listening import Listener
from trigger_api.evaluation.trigger.report import at_rates, draw, evaluate_trigger, summary, surroundings, table
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
    assert text.count("\n") == 6
    assert "| card | 0.5000 | 1 of 2 (9.5 - 90.5 %)" in text


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
