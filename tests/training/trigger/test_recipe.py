import hashlib
from pathlib import Path

import numpy as np
import pytest

from trigger_api.datasets.phrases import PhraseError
from trigger_api.model_card import ModelCard, read_card
from trigger_api.training.trigger import recipe as module
from trigger_api.training.trigger.recipe import WORK_FOLDER, Recipe, train_trigger

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NO_VOICES = ("flite", "festival", "espeak-ng", "kokoro", "piper")


def train(out: Path, folders: dict[str, Path], recipe: Recipe, word: str = "Beep,  Beep!") -> ModelCard:
    given = [folders["word"]], [folders["other"]], [folders["noise"]]
    return train_trigger(word, out, *given, without=NO_VOICES, recipe=recipe)


def scores(folder: Path) -> np.ndarray:
    import keras

    sound = np.random.default_rng(0).normal(0, 15, (1, 40, 96)).astype(np.float32)
    network = keras.models.load_model(folder / "model.keras", safe_mode=True)
    return np.asarray(network({"embeddings": sound})["scores"])


@pytest.mark.slow
def test_a_run_leaves_a_head(tmp_path: Path, folders: dict[str, Path], recipe: Recipe) -> None:
    out = tmp_path / "model"
    train(out, folders, recipe)
    card = read_card(out)
    assert (card.name, card.labels, card.backbone) == ("beep-beep", ("beep beep",), "speech-embedding")
    assert card.context == recipe.shape.context
    assert card.sha256 == hashlib.sha256((out / "model.keras").read_bytes()).hexdigest()
    assert card.decision is not None
    assert set(card.decision.sensitivities) == {"low", "medium", "high"}
    written = ["card.json", "learning.png", "low_rank.npz", "model.keras", "tradeoff.png"]
    assert sorted(path.name for path in out.iterdir()) == written
    assert scores(out).shape == (1, 40 - card.context)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(tmp_path: Path, folders: dict[str, Path], recipe: Recipe) -> None:
    cards = [train(tmp_path / name, folders, recipe) for name in ("first", "again")]
    np.testing.assert_allclose(scores(tmp_path / "first"), scores(tmp_path / "again"), rtol=1e-4, atol=1e-5)
    assert cards[0].decision == cards[1].decision


@pytest.mark.slow
def test_a_stopped_run_goes_on_for_the_same_word_only(
    tmp_path: Path, folders: dict[str, Path], recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = list[Path]()

    def stopped(data: object, shape: object, schedule: object, seed: int, folder: Path, done: object) -> None:
        checkpoints.append(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "fit", stopped)
    for word in ("beep", "beep", "boop"):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "model", folders, recipe, word)
    assert checkpoints[0] == checkpoints[1] != checkpoints[2]


def test_nonsense_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(PhraseError):
        train_trigger("42", tmp_path / "model")
    assert not (tmp_path / "model" / WORK_FOLDER).exists()


def test_a_recording_of_any_length_is_scored_whole() -> None:
    class Hears:
        def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"scores": inputs["embeddings"][:, 11:, 0]}

    for length in (12, 144, 200):
        sound = np.arange(length * 96, dtype=np.float32).reshape(length, 96)
        np.testing.assert_array_equal(module._scores(Hears(), sound), sound[11:, 0])
