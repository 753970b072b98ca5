from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.training.trigger.network import Layer, Shape, folded, together, training_network

# Keras hands its variables to NumPy in a way that NumPy 2 announces the end of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = Shape(bands=8, stem=(Layer(5, 2, 6), Layer(4, 2, 8)), body=(Layer(3, 1, 8, residual=True),) * 2)


@pytest.fixture(scope="module")
def trained() -> Any:
    network = training_network(SMALL)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        layer.set_weights(
            [rng.uniform(0.2, 1, weight.shape) - 0.3 * (weight.ndim > 1) for weight in layer.get_weights()]
        )
    return network


@pytest.fixture(scope="module")
def served(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import keras

    path: Path = tmp_path_factory.mktemp("model") / "model.keras"
    folded([trained], SMALL).save(path)
    return keras.models.load_model(path, safe_mode=True)


def features(frames: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((2, frames, SMALL.bands)).astype(np.float32)


def run(served: Any, part: NDArray[np.float32], state: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    import keras

    tensors = {"features": keras.ops.convert_to_tensor(part), "state": keras.ops.convert_to_tensor(state)}
    answer = served(tensors)
    return keras.ops.convert_to_numpy(answer["scores"]), keras.ops.convert_to_numpy(answer["state"])


def start() -> NDArray[np.float32]:
    return np.zeros((2, SMALL.state), np.float32)


def test_folding_changes_no_score(trained: Any, served: Any) -> None:
    import keras

    logits = keras.ops.convert_to_numpy(trained(features(64), training=False))
    scores, _ = run(served, features(64), start())
    assert scores.shape == (2, 16)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-5)


@pytest.mark.parametrize("recent", [1, 5])
def test_several_networks_are_served_as_the_mean_of_their_logits(trained: Any, recent: int) -> None:
    import keras

    pair, shape = [trained, training_network(SMALL)], replace(SMALL, recent=recent)
    model, empty = folded(pair, shape), np.zeros((2, 2 * SMALL.state + recent - 1), np.float32)
    logits = keras.ops.convert_to_numpy(together(pair, shape)(features(64)))
    whole, last = run(model, features(64), empty)
    np.testing.assert_allclose(whole, 1 / (1 + np.exp(-logits)), atol=1e-5)
    first, state = run(model, features(64)[:, :32], empty)
    second, state = run(model, features(64)[:, 32:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-5)
    np.testing.assert_allclose(state, last, atol=1e-5)


def test_of_recent_logits_the_latest_count_most(trained: Any) -> None:
    import keras

    shape = replace(SMALL, recent=3)
    plain, recent = (keras.ops.convert_to_numpy(together([trained], plan)(features(64))) for plan in (SMALL, shape))
    np.testing.assert_allclose(recent[:, 2:], plain[:, 2:] / 2 + plain[:, 1:-1] / 3 + plain[:, :-2] / 6, atol=1e-5)
    assert (recent[:, 0] < plain[:, 0]).all()  # there is silence before
    assert shape.context == SMALL.context + 2


@pytest.mark.parametrize("hop", [4, 8, 20])
def test_a_stream_scores_what_the_whole_clip_scores(served: Any, hop: int) -> None:
    whole, last = run(served, features(80), start())
    state, parts = start(), []
    for first in range(0, 80, hop):
        scores, state = run(served, features(80)[:, first : first + hop], state)
        parts.append(scores)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    np.testing.assert_allclose(state, last, atol=1e-5)


def test_context_is_how_far_scores_look_back(served: Any) -> None:
    changed = features(120)
    changed[:, :40] += 1
    before, _ = run(served, features(120), start())
    after, _ = run(served, changed, start())
    different = np.flatnonzero(np.abs(after - before).max(axis=0) > 1e-7)
    assert different.max() < 10 + SMALL.context


def test_the_bundled_shape_is_small() -> None:
    shape = Shape()
    assert shape.stride == 4
    assert folded([training_network(shape)] * 2, shape).count_params() < 250_000
