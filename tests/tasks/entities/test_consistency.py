import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.entities.bio import LABELS, best_legal, log_probabilities
from trigger_api.tasks.entities.consistency import agreed


def believed(**sure: float) -> NDArray[np.float32]:
    """One word's beliefs: how sure of each label, the underscore for a hyphen."""
    scores = [sure.get(label.replace("-", "_"), 0.0) for label in LABELS]
    return log_probabilities(np.asarray([scores], np.float32))


def tags(*sentences: tuple[str, list[NDArray[np.float32]]]) -> list[str]:
    words = [text.split() for text, _ in sentences]
    beliefs = np.concatenate([each for _, rows in sentences for each in rows])
    leaning = np.split(agreed(words, beliefs, LABELS), np.cumsum([len(each) for each in words])[:-1])
    return [LABELS[label] for part in leaning for label in best_legal(part, LABELS)]


OUT = believed(O=8)


def test_a_doubtful_place_follows_a_sure_one() -> None:
    found = tags(("in Lincoln", [OUT, believed(B_PER=2, B_LOC=1)]), ("to Lincoln", [OUT, believed(B_LOC=9)]))
    assert found == ["O", "B-LOC", "O", "B-LOC"]


def test_a_sure_place_stays_as_it_is() -> None:
    found = tags(("in Lincoln", [OUT, believed(B_PER=9)]), ("to Lincoln", [OUT, believed(B_LOC=9)]))
    assert found == ["O", "B-PER", "O", "B-LOC"]


def test_a_name_overlooked_elsewhere_is_found() -> None:
    name = [believed(B_LOC=9), believed(I_LOC=9)]
    doubt = [believed(O=2, B_LOC=1), believed(O=2, I_LOC=1)]
    assert tags(("New York", name), ("a New York", [OUT, *doubt])) == ["B-LOC", "I-LOC", "O", "B-LOC", "I-LOC"]


def test_places_in_longer_names_and_across_sentences_are_others() -> None:
    york, new = believed(B_LOC=9), believed(B_LOC=2, B_MISC=1)
    beliefs = np.concatenate([york, new, believed(I_LOC=3), OUT, believed(O=2, B_LOC=1)])
    leaning = agreed([["York"], ["New", "York"], ["a", "New"], []], beliefs, LABELS)
    assert np.array_equal(leaning, beliefs)


def test_what_is_named_once_and_no_words_at_all_stay_as_they_are() -> None:
    beliefs = np.concatenate([believed(B_PER=3), OUT])
    assert np.array_equal(agreed([["Bob", "sat"]], beliefs, LABELS), beliefs)
    assert agreed([[]], beliefs[:0], LABELS).shape == (0, len(LABELS))
