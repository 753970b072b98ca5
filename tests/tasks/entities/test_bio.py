from itertools import pairwise, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trigger_api.tasks.entities.bio import LABELS, Span, best_legal, follows, log_probabilities, spans

SCORES = st.integers(0, 4).flatmap(lambda words: arrays(np.float32, (words, 5), elements=st.integers(-9, 9)))
SMALL = LABELS[:5]


def legal(tags: list[str]) -> bool:
    return all(follows(after, before) for before, after in pairwise(["O", *tags]))


def test_only_its_own_kind_goes_on() -> None:
    assert follows("I-PER", "B-PER")
    assert follows("I-PER", "I-PER")
    assert not follows("I-PER", "O")
    assert not follows("I-PER", "B-LOC")
    assert follows("B-LOC", "I-PER")


@given(SCORES)
def test_the_best_legal_sequence_is_the_one_found_by_trying_all(scores: np.ndarray) -> None:
    path = best_legal(scores, SMALL)
    assert legal([SMALL[label] for label in path])
    every = [p for p in product(range(5), repeat=len(scores)) if legal([SMALL[label] for label in p])]
    best = max(sum(row[label] for row, label in zip(scores, p, strict=True)) for p in every)
    assert sum(row[label] for row, label in zip(scores, path, strict=True)) == best


def test_log_probabilities_add_up_to_one_however_large_the_scores() -> None:
    beliefs = np.exp(log_probabilities(np.asarray([[1e4, 1e4, -1e4]], np.float32)))
    np.testing.assert_allclose(beliefs, [[0.5, 0.5, 0]])


def test_spans_begin_with_b_and_end_where_their_kind_does() -> None:
    tags = ["B-PER", "I-PER", "B-PER", "O", "I-LOC", "B-LOC", "I-ORG", "B-MISC"]
    assert spans(tags) == [Span(0, 2, "PER"), Span(2, 3, "PER"), Span(5, 6, "LOC"), Span(7, 8, "MISC")]
    assert spans([]) == []
