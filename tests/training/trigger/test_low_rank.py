from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from helpers.tiny_word import card
from trigger_api.model_card import WEIGHTS_FILE, write_card
from trigger_api.runtimes.speech_embedding import EMBEDDING
from trigger_api.tasks.trigger.low_rank import LowRankHead, score_words
from trigger_api.training.trigger import low_rank
from trigger_api.training.trigger.head import Shape, serving_network, training_network

SHAPE = Shape(steps=4, width=8, members=3, recent=2)


def network() -> object:
    import keras

    keras.utils.set_random_seed(0)
    normal = np.zeros(EMBEDDING, np.float32), np.full(EMBEDDING, 3, np.float32)
    return serving_network(training_network(SHAPE, *normal, 0.0), SHAPE)


def embeddings(count: int, directions: int = EMBEDDING) -> NDArray[np.float32]:
    """Embeddings that vary in some directions only, as those of speech nearly do."""
    rng = np.random.default_rng(0)
    return (3 * rng.normal(0, 1, (count, directions)) @ rng.normal(0, 0.2, (directions, EMBEDDING)) + 1).astype("f4")


def windows(of: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([of[start : start + SHAPE.steps] for start in range(len(of) - SHAPE.steps)])


def test_few_directions_give_the_scores_of_the_whole_layer() -> None:
    """The network's score is the mean of two positions side by side, here of the same embeddings."""
    sound = embeddings(3_000, directions=2)
    head = low_rank.factored(served := network(), windows(sound), rank=8, members=3)
    held = np.repeat(sound[:1], 12, axis=0)
    expected = np.asarray(served({"embeddings": held[None]})["scores"])[0]  # type: ignore[operator]
    (scores,) = score_words([head], held, len(expected))
    np.testing.assert_allclose(scores, expected, rtol=1e-2, atol=1e-3)


def test_a_small_head_keeps_what_it_has() -> None:
    head = low_rank.factored(network(), windows(embeddings(500)), rank=500, members=9)
    assert head.second.shape == (3, 8, 8)
    assert head.down.shape == (4 * EMBEDDING, 24)


def test_the_command_adds_it_to_a_word_that_was_trained_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, speech = tmp_path / "model", tmp_path / "speech"
    model.mkdir()
    speech.mkdir()
    network().save(model / WEIGHTS_FILE)  # type: ignore[attr-defined]
    write_card(model, card().model_copy(update={"sha256": "ab"}))
    soundfile.write(speech / "a.wav", np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)
    monkeypatch.setattr("sys.argv", ["low_rank", str(model), "--speech", str(speech)])
    low_rank.main()
    assert LowRankHead.load(model, "ab") is not None
