import numpy as np

from trigger_api.runtimes.speech_embedding import EMBEDDING
from trigger_api.training.trigger.head import Shape, serving_network, training_network

SHAPE = Shape(steps=4, width=8, members=3, recent=2)


def networks() -> tuple[object, object]:
    import keras

    keras.utils.set_random_seed(0)
    mean, deviation = np.full(EMBEDDING, 2, np.float32), np.full(EMBEDDING, 3, np.float32)
    trained = training_network(SHAPE, mean, deviation, 0.5)
    return trained, serving_network(trained, SHAPE)


def test_a_score_is_the_mean_of_members_and_of_recent_positions() -> None:
    trained, served = networks()
    sound = np.random.default_rng(0).normal(2, 3, (1, 12, EMBEDDING)).astype(np.float32)
    logits = np.asarray(trained(sound, training=False))  # type: ignore[operator]
    assert logits.shape == (1, 9, 3)
    scores = np.asarray(served({"embeddings": sound})["scores"])  # type: ignore[operator]
    mean = logits.mean(axis=-1)
    expected = 1 / (1 + np.exp(-(mean[:, 1:] + mean[:, :-1]) / 2))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    assert scores.shape == (1, 12 - SHAPE.context)


def test_members_differ() -> None:
    trained, _ = networks()
    sound = np.random.default_rng(0).normal(2, 3, (1, 4, EMBEDDING)).astype(np.float32)
    logits = np.asarray(trained(sound, training=False))  # type: ignore[operator]
    assert len({round(float(logit), 4) for logit in logits[0, 0]}) == 3


def test_normalisation_is_part_of_the_network() -> None:
    trained, _ = networks()
    typical = np.full((1, 4, EMBEDDING), 2, np.float32)  # the mean: zeros behind the normalisation
    logits = np.asarray(trained(typical, training=False))  # type: ignore[operator]
    np.testing.assert_allclose(logits, 0, atol=1e-6)  # no bias has been learned
