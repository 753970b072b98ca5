from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_api.tasks.entities.casing import word_shape
from trigger_api.tasks.entities.compounds import all_parts
from trigger_api.tasks.entities.wordpiece import SPECIALS, Wordpieces

VOCABULARY = (*SPECIALS, "i", "love", "paris", "mc", "##don", "##ald", "u", "s", ".", "##s")


@pytest.fixture
def wordpieces(tmp_path: Path) -> Wordpieces:
    (tmp_path / "vocabulary.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return Wordpieces.load(tmp_path / "vocabulary.txt")


def test_words_become_pieces_with_their_casing(wordpieces: Wordpieces) -> None:
    pieces = wordpieces.split(["I", "love", "McDonald"])
    assert [VOCABULARY[row] for row in pieces.rows] == ["i", "love", "mc", "##don", "##ald"]
    assert pieces.parts.tolist() == [0, 1, 2, 2, 2]
    assert pieces.shapes[2:].tolist() == [word_shape("McDonald", piece) for piece in ("Mc", "Don", "ald")]


def test_each_punctuation_mark_is_a_piece(wordpieces: Wordpieces) -> None:
    assert [VOCABULARY[row] for row in wordpieces.split(["U.S."]).rows] == ["u", ".", "s", "."]


@pytest.mark.parametrize("word", ["\u200b", "\x00", "\ud800", "", "zebra", "́"])
def test_words_without_pieces_are_unknown(wordpieces: Wordpieces, word: str) -> None:
    assert [VOCABULARY[row] for row in wordpieces.split([word]).rows] == ["[UNK]"]


def test_an_endless_word_is_cut_off(wordpieces: Wordpieces) -> None:
    pieces = wordpieces.split(["." * 100_000, "Paris"])
    assert len(pieces.rows) < 32
    assert VOCABULARY[pieces.rows[-1]] == "paris"


def test_no_words_have_no_pieces(wordpieces: Wordpieces) -> None:
    assert len(wordpieces.split([]).rows) == 0


def test_parts_of_a_word_have_its_casing(wordpieces: Wordpieces) -> None:
    pieces = wordpieces.split(["Paris-love", "I"])
    assert [VOCABULARY[row] for row in pieces.rows] == ["paris", "[UNK]", "love", "i"]
    assert pieces.parts.tolist() == [0, 1, 2, 3]
    assert pieces.shapes[:3].tolist() == [word_shape("Paris-love", part) for part in ("Paris", "-", "love")]


def test_an_endless_chain_of_parts_is_split_in_time(wordpieces: Wordpieces) -> None:
    assert len(wordpieces.split(["love-" * 20_000]).rows) == 40_000


@given(st.lists(st.text(st.characters() | st.sampled_from("-a"), max_size=12), max_size=8))
def test_every_part_has_pieces_in_order(words: list[str]) -> None:
    owners = Wordpieces(VOCABULARY).split(words).parts.tolist()
    assert owners == sorted(owners)
    assert set(owners) == set(range(len(all_parts(words))))
