from itertools import pairwise, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trigger_api.tasks.entities.bio import LABELS, Span, is_valid_transition, log_probabilities, spans, viterbi_decode

SCORES = st.integers(0, 4).flatmap(lambda words: arrays(np.float32, (words, 5), elements=st.integers(-9, 9)))
SMALL = LABELS[:5]


def is_valid(tags: list[str]) -> bool:
    return all(is_valid_transition(after, before) for before, after in pairwise(["O", *tags]))


def test_only_the_same_kind_may_continue() -> None:
    assert is_valid_transition("I-PER", "B-PER")
    assert is_valid_transition("I-PER", "I-PER")
    assert not is_valid_transition("I-PER", "O")
    assert not is_valid_transition("I-PER", "B-LOC")
    assert is_valid_transition("B-LOC", "I-PER")


@given(SCORES)
def test_viterbi_finds_the_best_of_all_valid_sequences(scores: np.ndarray) -> None:
    path = viterbi_decode(scores, SMALL)
    assert is_valid([SMALL[label] for label in path])
    every = [p for p in product(range(5), repeat=len(scores)) if is_valid([SMALL[label] for label in p])]
    best = max(sum(row[label] for row, label in zip(scores, p, strict=True)) for p in every)
    assert sum(row[label] for row, label in zip(scores, path, strict=True)) == best


def test_probabilities_of_very_large_scores_add_up_to_one() -> None:
    probabilities = np.exp(log_probabilities(np.asarray([[1e4, 1e4, -1e4]], np.float32)))
    np.testing.assert_allclose(probabilities, [[0.5, 0.5, 0]])


def test_spans_begin_with_b_and_end_with_their_kind() -> None:
    tags = ["B-PER", "I-PER", "B-PER", "O", "I-LOC", "B-LOC", "I-ORG", "B-MISC"]
    assert spans(tags) == [Span(0, 2, "PER"), Span(2, 3, "PER"), Span(5, 6, "LOC"), Span(7, 8, "MISC")]
    assert spans([]) == []
