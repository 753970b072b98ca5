import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.entities.bio import LABELS, log_probabilities, viterbi_decode
from trigger_api.tasks.entities.consistency import make_consistent


def log_probs(**by_label: float) -> NDArray[np.float32]:
    """One word's log-probabilities, from scores by label (with an underscore for the hyphen)."""
    scores = [by_label.get(label.replace("-", "_"), 0.0) for label in LABELS]
    return log_probabilities(np.asarray([scores], np.float32))


def tags(*sentences: tuple[str, list[NDArray[np.float32]]]) -> list[str]:
    words = [text.split() for text, _ in sentences]
    scores = np.concatenate([each for _, rows in sentences for each in rows])
    adjusted = np.split(make_consistent(words, scores, LABELS), np.cumsum([len(each) for each in words])[:-1])
    return [LABELS[label] for part in adjusted for label in viterbi_decode(part, LABELS)]


OUT = log_probs(O=8)


def test_a_doubtful_occurrence_follows_a_certain_one() -> None:
    found = tags(("in Lincoln", [OUT, log_probs(B_PER=2, B_LOC=1)]), ("to Lincoln", [OUT, log_probs(B_LOC=9)]))
    assert found == ["O", "B-LOC", "O", "B-LOC"]


def test_a_certain_occurrence_stays_as_it_is() -> None:
    found = tags(("in Lincoln", [OUT, log_probs(B_PER=9)]), ("to Lincoln", [OUT, log_probs(B_LOC=9)]))
    assert found == ["O", "B-PER", "O", "B-LOC"]


def test_an_overlooked_occurrence_is_found() -> None:
    name = [log_probs(B_LOC=9), log_probs(I_LOC=9)]
    doubt = [log_probs(O=2, B_LOC=1), log_probs(O=2, I_LOC=1)]
    assert tags(("New York", name), ("a New York", [OUT, *doubt])) == ["B-LOC", "I-LOC", "O", "B-LOC", "I-LOC"]


def test_parts_of_longer_names_are_not_occurrences() -> None:
    york, new = log_probs(B_LOC=9), log_probs(B_LOC=2, B_MISC=1)
    scores = np.concatenate([york, new, log_probs(I_LOC=3), OUT, log_probs(O=2, B_LOC=1)])
    adjusted = make_consistent([["York"], ["New", "York"], ["a", "New"], []], scores, LABELS)
    assert np.array_equal(adjusted, scores)


def test_names_that_are_not_repeated_stay_as_they_are() -> None:
    scores = np.concatenate([log_probs(B_PER=3), OUT])
    assert np.array_equal(make_consistent([["Bob", "sat"]], scores, LABELS), scores)
    assert make_consistent([[]], scores[:0], LABELS).shape == (0, len(LABELS))
