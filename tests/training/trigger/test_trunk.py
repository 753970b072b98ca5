import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trigger_api.cli import app
from trigger_api.training.trigger.corpus import SCENE, Pools
from trigger_api.training.trigger.network import Layer, Shape, training_network
from trigger_api.training.trigger.phones import HOP, SILENCE, Utterance
from trigger_api.training.trigger.recipe import TRUNK, Recipe
from trigger_api.training.trigger.trunk import (
    LAGS,
    Plan,
    another_voice,
    build,
    lagged,
    learn,
    named_right,
    scene,
    train_trunk,
)

SAMPLE = Path(__file__).parents[3] / "samples" / "activate.wav"
SMALL = Shape(bands=16, stem=(Layer(5, 2, 8), Layer(5, 2, 8)), body=(Layer(3, 1, 8, residual=True),))


@pytest.fixture
def people() -> list[Utterance]:
    """Half a second of silence, then half a second of a sound; the higher its number, the higher its pitch."""
    seconds = np.arange(8_000) / 16_000
    tones = {number: np.sin(2 * np.pi * 500 * number * seconds).astype(np.float32) for number in (1, 2, 3)}
    labels = {number: np.repeat(np.array([SILENCE, number], np.uint8), 50) for number in tones}
    return [Utterance(np.concatenate([np.zeros(8_000, np.float32), tones[n]]), labels[n]) for n in tones]


def test_a_scene_has_a_sound_for_every_frame(people: list[Utterance]) -> None:
    samples, labels = scene(people, Pools([], [], [], []), np.random.default_rng(0))
    assert len(samples) == SCENE
    assert len(labels) == SCENE // HOP
    assert set(labels.tolist()) <= {SILENCE, 1, 2, 3}


def test_sounds_move_along_with_the_pace(people: list[Utterance]) -> None:
    for seed in range(5):
        moved = another_voice(people[0], np.random.default_rng(seed))
        assert len(moved.samples) == len(moved.labels) * HOP
        loud = np.abs(moved.samples).reshape(-1, HOP).max(axis=1) > 0.3
        assert (loud == (moved.labels == 1)).mean() > 0.9


def test_scores_name_the_sounds_before_them() -> None:
    labels = np.arange(1, 81, dtype=np.uint8)[None]
    found = lagged(labels, stride=4)
    assert found.shape == (1, 20, len(LAGS))
    assert found[0, 0].tolist() == [SILENCE] * len(LAGS)
    assert found[0, -1].tolist() == [80 - lag for lag in LAGS]


def test_sounds_are_learned_and_a_word_can_start_from_them(tmp_path: Path, people: list[Utterance]) -> None:
    plan = Plan(scenes=16, epochs=3, steps=60, batch=8, rate=0.01, average=0.9, shape=SMALL)
    bank = build(plan.scenes, people, [], SMALL.bands, seed=0)
    network, names = learn(bank, plan, 0, tmp_path / "checkpoint")
    assert named_right(names, bank, SMALL.stride) > 0.3
    network.save_weights(tmp_path / "trunk.weights.h5")
    word = training_network(SMALL)
    word.load_weights(tmp_path / "trunk.weights.h5")
    np.testing.assert_array_equal(word.get_layer("conv2").get_weights()[0], names.get_layer("conv2").get_weights()[0])


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, people: list[Utterance]) -> None:
    plan = Plan(scenes=16, epochs=3, steps=10, batch=8, rate=0.01, average=0.9, shape=SMALL)
    bank = build(plan.scenes, people, [], SMALL.bands, seed=0)
    parts: list[float] = []

    def killed(part: float) -> None:
        parts.append(part)
        if sum(parts) > 2 / plan.epochs:
            raise KeyboardInterrupt

    _, whole = learn(bank, plan, 0, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        learn(bank, plan, 0, tmp_path / "killed", killed)
    _, resumed = learn(bank, plan, 0, tmp_path / "killed")
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_bundled_weights_fit_the_network() -> None:
    network = training_network(Recipe().shape)
    before = network.get_layer("conv0").get_weights()[0]
    network.load_weights(TRUNK)
    assert not np.array_equal(network.get_layer("conv0").get_weights()[0], before)
    assert TRUNK.stat().st_size < 1_000_000


def test_a_folder_of_speech_becomes_a_file_of_weights(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    for number in range(3):
        clip = tmp_path / "activate" / f"{number}.wav"
        clip.parent.mkdir(exist_ok=True)
        shutil.copy(SAMPLE, clip)
    out = tmp_path / "trunk.weights.h5"
    right = train_trunk([tmp_path], [], out, plan=Plan(8, sentences=0, epochs=1, steps=2, batch=4, shape=SMALL))
    assert 0 <= right <= 1
    training_network(SMALL).load_weights(out)
    assert not out.with_suffix(".training").exists()


def test_a_name_that_weights_cannot_have_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="named NAME"):
        train_trunk([tmp_path / "absent"], [], tmp_path / "trunk.h5")
    assert not list(tmp_path.iterdir())


def test_the_command_refuses_what_cannot_be(tmp_path: Path) -> None:
    command = ["train", "speech", "--speech", str(tmp_path), "--out"]
    assert CliRunner().invoke(app, [*command, str(tmp_path / "trunk.h5")]).exit_code == 2
    assert CliRunner().invoke(app, [*command, str(tmp_path / "trunk.weights.h5"), "--seed", "-1"]).exit_code == 2
