from trigger_api.datasets.conll import Sample
from trigger_api.evaluation.entities.error_analysis import count, examples
from trigger_api.evaluation.entities.scores import compare

WORDS = ("Bob", "saw", "New", "York", "and", "Rome")
WANTED = Sample(WORDS, ("B-PER", "O", "B-LOC", "I-LOC", "O", "B-LOC"))


def test_mistakes_are_sorted_by_kind() -> None:
    answers = [
        ["B-ORG", "O", "B-LOC", "O", "O", "B-LOC"],
        ["O", "B-PER", "B-LOC", "I-LOC", "O", "B-LOC"],
        list(WANTED.tags),
    ]
    report = compare([WANTED] * 3, answers)
    assert count(report) == {"wrong type": 1, "wrong ends": 1, "missed": 1, "made up": 1}


def test_examples_say_what_was_wanted_and_what_was_found() -> None:
    report = compare([WANTED] * 9, [["O"] * 6] * 9)
    chosen = examples(report, 4)
    assert len(chosen) == 4
    assert chosen[0] == {
        "text": "Bob saw New York and Rome",
        "wanted": "Bob PER, New York LOC, Rome LOC",
        "found": "nothing",
    }


def test_examples_show_no_address() -> None:
    secret = Sample((*WORDS[:5], "bob@example.com"), WANTED.tags)
    assert examples(compare([secret], [["O"] * 6]), 4) == []
