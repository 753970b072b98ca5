import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trigger_api.cards import read_card
from trigger_api.evaluation.trigger.listening import load
from trigger_api.training.trigger.material import Material, Sources, gather
from trigger_api.training.trigger.phrases import PhraseError
from trigger_api.training.trigger.recipe import UNHEARD, WORK_FOLDER, Recipe, Step, train_trigger
from trigger_api.training.trigger.recordings import RATE
from trigger_api.training.trigger.workers import Fitted, Task

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NO_PROGRAMS = ("flite", "festival", "espeak-ng")


def train(out: Path, folders: dict[str, Path], recipe: Recipe) -> None:
    train_trigger(
        "Beep  Beep",
        out,
        folders["word"],
        (folders["other"],),
        (folders["noise"],),
        without=NO_PROGRAMS,
        recipe=recipe,
    )


def test_a_run_leaves_a_model_that_listens(tmp_path: Path, folders: dict[str, Path], recipe: Recipe) -> None:
    out = tmp_path / "model"
    train(out, folders, recipe)
    card = read_card(out)
    assert card.name == "beep-beep"
    assert card.labels == ("beep beep",)
    assert card.sha256 == hashlib.sha256((out / "model.keras").read_bytes()).hexdigest()
    assert sorted(path.name for path in out.iterdir()) == ["card.json", "learning.png", "model.keras", "tradeoff.png"]
    listener = load(out)
    scores = listener.scores(np.zeros(RATE, np.float32))
    assert scores.shape == (1.5 * RATE / 640 // 1,)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_the_same_seed_gives_the_same_model(tmp_path: Path, folders: dict[str, Path], recipe: Recipe) -> None:
    for name in ("first", "again"):
        train(tmp_path / name, folders, recipe)
    sound = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    first, again = (load(tmp_path / name).scores(sound) for name in ("first", "again"))
    np.testing.assert_allclose(first, again, atol=1e-5)


def test_a_stopped_run_goes_on_for_the_same_word_only(
    tmp_path: Path, folders: dict[str, Path], recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = list[Path]()

    def noted(tasks: Sequence[Task], done: Callable[[float], None]) -> list[Fitted]:
        checkpoints.append(tasks[0].folder)
        raise KeyboardInterrupt

    monkeypatch.setattr("trigger_api.training.trigger.recipe.fit_all", noted)
    given = folders["word"], (folders["other"],), (folders["noise"],)
    for word in ("beep", "beep", "boop"):
        with pytest.raises(KeyboardInterrupt):
            train_trigger(word, tmp_path / "model", *given, without=NO_PROGRAMS, recipe=recipe)
    assert checkpoints[0] == checkpoints[1] != checkpoints[2]


def test_nonsense_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(PhraseError):
        train_trigger("42", tmp_path / "model")
    assert not (tmp_path / "model" / WORK_FOLDER).exists()


def test_where_nobody_says_the_word_a_model_is_trained_in_turns(
    tmp_path: Path, folders: dict[str, Path], recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = list[int]()

    def gathered(sources: Sources, cache: Path, seed: int, step: Step) -> Material:
        seeds.append(seed)
        return gather(replace(sources, recordings=folders["word"]), cache, seed, step)

    shape = replace(recipe.shape, recent=UNHEARD.shape.recent)
    unheard = replace(recipe, turns=UNHEARD.turns, shape=shape, least=UNHEARD.least)
    monkeypatch.setattr("trigger_api.training.trigger.recipe.gather", gathered)
    monkeypatch.setattr("trigger_api.training.trigger.recipe.UNHEARD", unheard)
    train_trigger("beep", tmp_path / "beep", None, (folders["other"],), (folders["noise"],), without=NO_PROGRAMS)
    card = read_card(tmp_path / "beep")
    assert len(set(seeds)) == 2
    assert card.inputs[1].shape == (2 * len(recipe.members) * recipe.shape.state + UNHEARD.shape.recent - 1,)
    assert card.context == unheard.shape.context
    assert card.decision is not None
    assert card.decision.threshold >= UNHEARD.least["medium"]
    assert load(tmp_path / "beep").scores(np.zeros(RATE, np.float32)).shape == (1.5 * RATE / 640 // 1,)
