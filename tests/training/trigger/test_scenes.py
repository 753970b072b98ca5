from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from trigger_api.datasets.speech import RATE, Samples, Spoken
from trigger_api.training.trigger import scenes
from trigger_api.training.trigger.scenes import NO_WORD, SCENE, Pools


def clip(seconds: float, seed: int) -> Samples:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


WORDS = [Spoken(clip(0.6, 0), int(0.6 * RATE)), Spoken(clip(1.5, 1), int(0.7 * RATE))]
POOLS = Pools(WORDS, [clip(0.5, 2)], [clip(4, 3), clip(0.2, 4)], [clip(1, 5)])
SCENES = [scenes.said_scene, scenes.other_scene, scenes.near_scene, scenes.speech_scene, scenes.noise_scene]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("seed", range(12))
def test_every_scene_is_as_long_finite_and_within_full_scale(scene: scenes.Scene, seed: int) -> None:
    samples, end = scene(POOLS, np.random.default_rng(seed))
    assert samples.shape == (SCENE,)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1
    assert (0 < end < SCENE / RATE) == (scene is scenes.said_scene)


def test_the_word_ends_where_the_scene_says() -> None:
    quiet = Pools(WORDS, [np.zeros(RATE, np.float32)], [np.zeros(RATE, np.float32)], [])
    late = []
    for seed in range(40):
        samples, end = scenes.word_scene(WORDS[0], quiet, np.random.default_rng(seed))
        loud = np.flatnonzero(np.abs(samples) > 0.5 * np.abs(samples).max())
        late.append(loud[-1] / RATE - end)
    assert np.median(late) == pytest.approx(0, abs=0.02)


def test_the_same_seed_builds_the_same_bank() -> None:
    first, again = (scenes.build(6, partial(scenes.said_scene, POOLS), 7) for _ in range(2))
    np.testing.assert_array_equal(first.embeddings, again.embeddings)
    np.testing.assert_array_equal(first.ends, again.ends)
    assert first.embeddings.shape == (6, 30, 96)


def test_banks_join() -> None:
    words = scenes.build(2, partial(scenes.said_scene, POOLS), 1)
    others = scenes.build(3, partial(scenes.other_scene, POOLS), 2)
    both = scenes.joined([words, others])
    assert len(both) == 5
    assert (both.ends[2:] == NO_WORD).all()


def test_what_is_said_is_cut_out() -> None:
    silence = np.zeros(RATE // 2, np.float32)
    spoken = scenes.said(np.concatenate([silence, clip(0.5, 6), silence]))
    assert spoken is not None
    assert spoken.end == len(spoken.samples) == pytest.approx(0.51 * RATE, abs=0.03 * RATE)
    assert scenes.said(np.zeros(100, np.float32)) is None


def test_near_words_come_from_their_own_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Samples] = []

    def word_scene(word: Spoken, pools: Pools, rng: np.random.Generator) -> tuple[Samples, float]:
        drawn.append(word.samples)
        return word.samples, 0.0

    monkeypatch.setattr(scenes, "word_scene", word_scene)
    near = clip(0.5, 6)
    assert scenes.near_scene(replace(POOLS, near=[near]), np.random.default_rng(0))[1] == NO_WORD
    assert drawn == [near]


def test_a_recording_is_heard_in_four_conditions() -> None:
    recording = clip(3.0, 6)
    same, *others = scenes.conditions(recording, POOLS, np.random.default_rng(0))
    assert same is recording
    assert len(others) == 3
    assert all(np.isfinite(other).all() and 0.7 < len(other) / len(recording) < 1.4 for other in others)
