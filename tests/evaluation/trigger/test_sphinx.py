from pathlib import Path

import numpy as np
import pytest

from trigger_api.evaluation.trigger.sphinx import LEVELS, Sphinx
from trigger_api.evaluation.trigger.trials import clip, listen
from trigger_api.training.trigger.recordings import RATE, read

pytest.importorskip("pocketsphinx")

SAMPLES = Path(__file__).parents[3] / "samples"


def test_it_hears_the_word_where_it_is() -> None:
    said = clip("activate", read(SAMPLES / "activate.wav"), said=True)
    other = clip("other", read(SAMPLES / "other.wav"), said=False)
    trial = listen(Sphinx("activate"), [said, other])
    point = trial.at(0.1)
    assert (point.words, point.hits, point.false_accepts) == (1, 1, 0)


def test_silence_scores_nothing() -> None:
    assert not Sphinx("activate").scores(np.zeros(RATE, np.float32)).any()


def test_a_stricter_level_hears_no_more() -> None:
    scores = Sphinx("activate").scores(read(SAMPLES / "activate.wav"))
    assert set(np.unique(scores * len(LEVELS))) <= set(range(len(LEVELS) + 1))
    assert scores.max() > 0
