import pytest

from trigger_api.datasets.conll import Sample
from trigger_api.tasks.entities.compounds import all_parts
from trigger_api.tasks.entities.gazetteers import Gazetteers
from trigger_api.training.entities.compounds import tag_parts

KINDS = Gazetteers({"london": "c", "iran": "y", "iraq": "y", "polish": "n", "guinea": "y"}).kinds
TREEBANK, CROSSNER, GUM, WNUT, BTC = 1, 3, 4, 5, 6


def tagged(words: str, tags: str, part: int) -> str:
    """The words, and the tags of their parts; those that do not count in brackets."""
    made = tag_parts(Sample(tuple(words.split()), tuple(tags.split()), part), KINDS)
    assert len(all_parts(made.words)) == len(made.tags)
    marks = (f"({tag})" if index in made.unsure else tag for index, tag in enumerate(made.tags))
    return f"{' '.join(made.words)} | {' '.join(marks)}"


@pytest.mark.parametrize(
    ("words", "tags", "part", "expected"),
    [
        ("al - Qaeda bombed", "B-ORG I-ORG I-ORG O", TREEBANK, "al-Qaeda bombed | B-ORG I-ORG I-ORG O"),
        ("Hay Al - Golan", "B-LOC I-LOC I-LOC I-LOC", TREEBANK, "Hay Al-Golan | B-LOC I-LOC I-LOC I-LOC"),
        ("a London - based firm", "O B-LOC O O O", TREEBANK, "a London-based firm | O B-LOC O O O"),
        ("Bush - Cheney", "B-PER O B-PER", TREEBANK, "Bush-Cheney | B-PER O B-PER"),
        ("May 12 - Legal", "O O O O", TREEBANK, "May 12 - Legal | O O O O"),
        ("Rome - thanks", "B-LOC O O", TREEBANK, "Rome - thanks | B-LOC O O"),
    ],
)
def test_words_that_a_treebank_splits_are_whole_again(words: str, tags: str, part: int, expected: str) -> None:
    assert tagged(words, tags, part) == expected


def test_a_persons_name_goes_on_after_its_hyphen() -> None:
    assert tagged("Kim Jong - un", "B-PER I-PER O B-PER", GUM) == "Kim Jong-un | B-PER I-PER I-PER I-PER"


@pytest.mark.parametrize(
    ("word", "tag", "expected"),
    [
        ("Jean-Louis", "B-PER", "B-PER I-PER I-PER"),
        ("Guinea-Bissau", "B-LOC", "B-LOC I-LOC I-LOC"),
        ("Stoke-on-Trent", "B-LOC", "B-LOC I-LOC I-LOC I-LOC I-LOC"),
        ("London-based", "B-ORG", "B-LOC O O"),
        ("York-based", "I-LOC", "I-LOC O O"),
        ("London-based", "O", "B-LOC O O"),
        ("Polish-born", "O", "B-MISC O O"),
        ("Fatah-controlled", "O", "(O) O O"),
        ("Iran-Iraq", "O", "B-LOC O B-LOC"),
        ("anti-Polish", "O", "O O (O)"),
        ("well-known", "O", "O O O"),
        ("Paris", "B-LOC", "B-LOC"),
    ],
)
def test_the_parts_of_a_whole_word_have_tags_of_their_own(word: str, tag: str, expected: str) -> None:
    assert tagged(word, tag, CROSSNER) == f"{word} | {expected}"


@pytest.mark.parametrize(
    ("words", "tags", "expected"),
    [
        ("omg @ Someone_1 !", "O B-PER B-PER O", "omg @Someone_1 ! | O B-PER O"),
        ("@ one @ two", "B-PER I-PER I-PER I-PER", "@one @two | B-PER B-PER"),
        ("via @ guardian", "O O B-ORG", "via @guardian | O B-ORG"),
        ("lunch @ London", "O O B-LOC", "lunch @ London | O O B-LOC"),
        ("hi @ nobody", "O O O", "hi @nobody | O (O)"),
        ("now @", "O O", "now @ | O O"),
    ],
)
def test_the_sign_of_a_handle_is_part_of_it(words: str, tags: str, expected: str) -> None:
    assert tagged(words, tags, BTC) == expected


def test_a_handle_that_a_corpus_leaves_outside_counts_neither_way() -> None:
    assert tagged("hi @nobody", "O O", WNUT) == "hi @nobody | O (O)"
