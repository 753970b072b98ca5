from pathlib import Path

import numpy as np
import pytest

from trigger_api.training.trigger import fit as module
from trigger_api.training.trigger.fit import CHECKPOINT, Schedule, Windows, fit, windows
from trigger_api.training.trigger.head import Shape
from trigger_api.training.trigger.scenes import NO_WORD, Bank

SHAPE = Shape(steps=4, width=8, members=2)
SCHEDULE = Schedule(epochs=3, steps=5, positives=8, random=8, hard=8)
SILENCE = np.full(96, -1, np.float32)


def data() -> Windows:
    """In half of the scenes something happens at the tenth step, as the word ends."""
    rng = np.random.default_rng(0)
    embeddings = rng.normal(0, 1, (40, 30, 96)).astype(np.float16)
    embeddings[:20, 8:12] += 3
    ends = np.where(np.arange(40) < 20, 0.8, NO_WORD).astype(np.float32)
    return windows([Bank(embeddings[:20], ends[:20]), Bank(embeddings[20:], ends[20:])], SHAPE.steps, SILENCE)


def test_windows_hold_the_word_just_after_its_end() -> None:
    made = data()
    assert {int(step) for _, step in made.positives} == {10, 11, 12}  # 80, 160 and 240 ms after
    assert {int(scene) for scene, _ in made.positives} == set(range(20))
    beside = {int(step) for scene, step in made.negatives if scene == 0}
    assert not beside & set(range(8, 17))
    assert {6, 17} <= beside
    assert sum(scene == 30 for scene, _ in made.negatives) == 30


def test_silence_precedes_a_scene() -> None:
    made = data()
    taken = made.take(np.array([[0, 0]], np.int32))
    assert taken.shape == (1, 4, 96)
    np.testing.assert_array_equal(taken[0, :3], -1)


@pytest.mark.slow
def test_what_is_said_is_learned(tmp_path: Path) -> None:
    made = data()
    network, losses = fit(made, SHAPE, Schedule(epochs=4, steps=40, rate=3e-3), 0, tmp_path, lambda part: None)
    assert losses[-1] < losses[0] / 2
    heard, rest = (np.asarray(network(made.take(chosen[:200]))).mean() for chosen in (made.positives, made.negatives))
    assert heard > 0 > rest


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, done = data(), list[float]()
    whole, _ = fit(made, SHAPE, SCHEDULE, 0, tmp_path / "whole", done.append)
    assert sum(done) == pytest.approx(1)

    def killed(part: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(made, SHAPE, SCHEDULE, 0, tmp_path / "again", killed)
    assert (tmp_path / "again" / CHECKPOINT).exists()
    again, losses = fit(made, SHAPE, SCHEDULE, 0, tmp_path / "again", lambda part: None)
    assert len(losses) == 2
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_what_is_taken_for_the_word_is_drawn_more_often() -> None:
    made = data()

    class LoadedModel:
        def __call__(self, embeddings: np.ndarray, *, training: bool) -> np.ndarray:
            logits = np.full((len(embeddings), 30, 2), -9.0)
            logits[25, 7] = 1
            return logits

    odds = np.diff(module._hardness(LoadedModel(), made), prepend=0)
    hardest = made.negatives[odds.argmax()]
    assert hardest.tolist() == [25, 7]
    assert odds.max() > 1_000 * np.median(odds)
