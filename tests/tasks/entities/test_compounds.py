import pytest

from trigger_api.tasks.entities.compounds import all_parts, by_word, is_whole, parts


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Anne-Marie", ["Anne", "-", "Marie"]),
        ("Stratford-upon-Avon", ["Stratford", "-", "upon", "-", "Avon"]),
        ("Ki\u2010moon", ["Ki", "\u2010", "moon"]),
        ("Paris", ["Paris"]),
        ("@some-one", ["@some", "-", "one"]),
        ("-", ["-"]),
        ("-x-", ["-x-"]),
        ("", [""]),
    ],
)
def test_a_word_is_divided_at_the_hyphens_inside_it(word: str, expected: list[str]) -> None:
    assert parts(word) == expected
    assert "".join(expected) == word


def test_what_belongs_to_parts_is_grouped_by_words() -> None:
    words = ["Mary-Kate", "left"]
    assert all_parts(words) == ["Mary", "-", "Kate", "left"]
    assert list(by_word(words, "abcd")) == [["a", "b", "c"], ["d"]]


@pytest.mark.parametrize(
    ("tags", "whole"),
    [
        ("B-PER I-PER I-PER", True),
        ("I-PER I-PER I-PER", True),
        ("O O O", True),
        ("B-LOC", True),
        ("B-LOC O O", False),
        ("B-LOC O B-LOC", False),
        ("O O B-MISC", False),
        ("B-LOC I-LOC B-LOC", False),
    ],
)
def test_a_word_is_whole_unless_a_name_begins_or_ends_inside_it(tags: str, whole: bool) -> None:
    assert is_whole(tags.split()) is whole
