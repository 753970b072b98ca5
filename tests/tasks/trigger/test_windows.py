from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.model_card import Limits, TensorSpec
from trigger_api.observability.metrics import Metrics
from trigger_api.scheduler import BatchQueue
from trigger_api.tasks.trigger.windows import SlidingWindows


def queue(*specs: TensorSpec) -> BatchQueue:
    return BatchQueue("x", specs, {1: lambda x: x}, Limits(), Metrics())


@pytest.mark.parametrize("frames", [1, 8, 63, 64, 65, 124, 125, 500, 1_001])
def test_every_output_comes_from_a_window_with_its_whole_context(frames: int) -> None:
    """A model that sums the last five frames needs a context of four: windows must give what one call gives."""
    windows = SlidingWindows(length=64, stride=1, outputs=64, context=4)
    features = np.random.default_rng(0).normal(size=(frames, 40)).astype(np.float32)
    to = queue(TensorSpec(name="features", shape=(64, 40)), TensorSpec(name="state", shape=(1,)))
    parts = [causal_sum(item["features"]) for item in windows.split(features, to)]
    assert np.allclose(windows.merge(parts, frames), causal_sum(features), atol=1e-5)


@pytest.mark.parametrize("embeddings", [1, 9, 10, 11, 50])
def test_a_head_scores_every_embedding_after_its_context(embeddings: int) -> None:
    """A head that sums three embeddings has two outputs less than inputs."""
    windows = SlidingWindows(length=10, stride=1, outputs=8)
    padded = np.random.default_rng(0).normal(size=(2 + embeddings, 4)).astype(np.float32)
    to = queue(TensorSpec(name="embeddings", shape=(10, 4)))
    parts = [causal_sum(item["embeddings"], 3)[2:] for item in windows.split(padded, to)]
    assert np.allclose(windows.merge(parts, embeddings), causal_sum(padded, 3)[2:], atol=1e-5)


def test_no_window_is_wasted() -> None:
    windows = SlidingWindows(length=64, stride=1, outputs=64, context=4)
    to = queue(TensorSpec(name="x", shape=(64, 1)))
    counts = [len(windows.split(np.zeros((frames, 1), np.float32), to)) for frames in (1, 64, 65, 124, 125)]
    assert counts == [1, 1, 2, 2, 3]


def causal_sum(features: NDArray[np.float32], taps: int = 5) -> NDArray[np.float32]:
    totals = features.sum(axis=1)
    return np.asarray(np.convolve(totals, np.ones(taps))[: len(totals)], np.float32)
