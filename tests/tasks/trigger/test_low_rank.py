from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.tasks.trigger.low_rank import LowRankHead, score_words

STEPS, SIZE = 3, 4


def head(seed: int, *, rank: int = 5, width: int = 6, members: int = 2) -> LowRankHead:
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 1, shape).astype(np.float32)

    return LowRankHead(
        down=normal(STEPS * SIZE, rank),
        up=normal(members, rank, width),
        first_bias=normal(members, 1, width),
        second=normal(members, width, width),
        second_bias=normal(members, 1, width),
        logit=normal(members, width, 1),
        logit_bias=normal(1),
    )


def logit(one: LowRankHead, window: NDArray[np.float32]) -> float:
    """The mean logit of the members for one window, member by member."""
    reduced = window.reshape(-1) @ one.down
    logits = []
    for member in range(len(one.up)):
        first = np.maximum(reduced @ one.up[member] + one.first_bias[member, 0], 0)
        second = np.maximum(first @ one.second[member] + one.second_bias[member, 0], 0)
        logits.append(second @ one.logit[member, :, 0])
    return float(np.mean(logits) + one.logit_bias[0])


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_a_score_is_that_of_the_last_two_of_every_second_position(count: int) -> None:
    embeddings = np.random.default_rng(9).normal(0, 1, (count + 4, SIZE)).astype(np.float32)
    (scores,) = score_words([one := head(0)], embeddings, count)
    assert scores.shape == (count,)
    last = [logit(one, embeddings[end - STEPS : end]) for end in (count + 2, count + 4)]
    assert scores[-1] == pytest.approx(1 / (1 + np.exp(-np.mean(last))), rel=1e-4)
    assert scores[-2:].tolist() == [scores[-1]] * min(count, 2)


def test_words_of_any_number_and_shape_are_scored_as_if_alone() -> None:
    heads = [head(seed, rank=3 + seed % 2) for seed in range(25)]
    embeddings = np.random.default_rng(9).normal(0, 1, (20, SIZE)).astype(np.float32)
    together = score_words(heads, embeddings, 16)
    alone = [score_words([one], embeddings, 16)[0] for one in heads]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)
    assert score_words([], embeddings, 16) == []


def test_a_file_belongs_to_its_weights(tmp_path: Path) -> None:
    assert LowRankHead.load(tmp_path, "abc") is None
    (one := head(0)).save(tmp_path, "abc")
    loaded = LowRankHead.load(tmp_path, "abc")
    assert loaded is not None
    np.testing.assert_array_equal(loaded.down, one.down)
    with pytest.raises(ValueError, match="made of other weights"):
        LowRankHead.load(tmp_path, "abd")
