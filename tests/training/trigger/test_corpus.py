from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from trigger_api.cards import LogMelFrontEnd
from trigger_api.tasks.log_mel import LogMel
from trigger_api.training.trigger import corpus
from trigger_api.training.trigger.corpus import NO_WORD, SCENE, Pools
from trigger_api.training.trigger.recordings import RATE, Samples, Spoken

FRONT = LogMel(LogMelFrontEnd(bands=8))


def clip(seconds: float, seed: int) -> Samples:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


WORDS = [Spoken(clip(0.6, 0), int(0.6 * RATE)), Spoken(clip(1.5, 1), int(0.7 * RATE))]
POOLS = Pools(WORDS, [clip(0.5, 2)], [clip(4, 3), clip(0.2, 4)], [clip(1, 5)])
SCENES = [corpus.said_scene, corpus.other_scene, corpus.speech_scene, corpus.noise_scene]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("seed", range(12))
def test_every_scene_is_as_long_finite_and_within_full_scale(scene: corpus.Scene, seed: int) -> None:
    samples, end = scene(POOLS, np.random.default_rng(seed))
    assert samples.shape == (SCENE,)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1
    assert (0 < end < SCENE / RATE) == (scene is corpus.said_scene)


def test_the_word_ends_where_the_scene_says() -> None:
    quiet = Pools(WORDS, [np.zeros(RATE, np.float32)], [np.zeros(RATE, np.float32)], [])
    late = []
    for seed in range(40):
        samples, end = corpus.word_scene(WORDS[0], quiet, np.random.default_rng(seed))
        loud = np.flatnonzero(np.abs(samples) > 0.5 * np.abs(samples).max())
        late.append(loud[-1] / RATE - end)
    assert np.median(late) == pytest.approx(0, abs=0.02)


def test_the_same_seed_builds_the_same_bank() -> None:
    first, again = (corpus.build(6, partial(corpus.said_scene, POOLS), FRONT, 7) for _ in range(2))
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.ends, again.ends)
    assert first.features.shape == (6, 240, 8)


def test_banks_join() -> None:
    words = corpus.build(2, partial(corpus.said_scene, POOLS), FRONT, 1)
    others = corpus.build(3, partial(corpus.other_scene, POOLS), FRONT, 2)
    both = corpus.joined([words, others])
    assert len(both) == 5
    assert (both.ends[2:] == NO_WORD).all()


def test_what_is_said_is_cut_out() -> None:
    silence = np.zeros(RATE // 2, np.float32)
    spoken = corpus.said(np.concatenate([silence, clip(0.5, 6), silence]))
    assert spoken is not None
    assert spoken.end == len(spoken.samples) == pytest.approx(0.51 * RATE, abs=0.03 * RATE)
    assert corpus.said(np.zeros(100, np.float32)) is None


def test_words_near_in_sound_are_among_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Samples] = []

    def word_scene(word: Spoken, pools: Pools, rng: np.random.Generator) -> tuple[Samples, float]:
        drawn.append(word.samples)
        return word.samples, 0.0

    monkeypatch.setattr(corpus, "word_scene", word_scene)
    near = clip(0.5, 6)
    for seed in range(200):
        corpus.other_scene(replace(POOLS, near=[near]), np.random.default_rng(seed))
    assert 10 < sum(samples is near for samples in drawn) < 60
