from hypothesis import given
from hypothesis import strategies as st

from trigger_api.tasks.entities.tokenizer import sentences

ANY_TEXT = st.text(st.characters() | st.sampled_from(" .\n'’-@\ud800\udfff\U0001f600e\u0301"), max_size=80)


def words(text: str) -> list[list[str]]:
    return [[token.text for token in tokens] for tokens in sentences(text)]


def test_punctuation_is_separate_and_initials_stay_whole() -> None:
    assert words("He left the U.S. Army, today.") == [["He", "left", "the", "U.S.", "Army", ",", "today", "."]]


def test_abbreviations_do_not_end_a_sentence() -> None:
    assert words("Mr. Smith won. Who lost?") == [["Mr", ".", "Smith", "won", "."], ["Who", "lost", "?"]]


def test_possessives_and_contractions_are_split_off() -> None:
    assert words("O’Brien’s and McDonald's") == [["O’Brien", "’s", "and", "McDonald", "'s"]]
    assert words("they can't") == [["they", "ca", "n't"]]


def test_hyphenated_words_stay_whole() -> None:
    assert words("Anne-Marie's mother-in-law") == [["Anne-Marie", "'s", "mother-in-law"]]
    assert words("Ki\u2010moon met Jae\u2011in") == [["Ki\u2010moon", "met", "Jae\u2011in"]]
    assert words("He - she-- -x y-") == [["He", "-", "she", "-", "-", "-", "x", "y", "-"]]


def test_handles_and_addresses_stay_whole() -> None:
    assert words("hi @BarackObama, (@john_smith): @ 5") == [
        ["hi", "@BarackObama", ",", "(", "@john_smith", ")", ":", "@", "5"]
    ]
    assert words("Write to anna-lena.berg@example.com.") == [["Write", "to", "anna-lena.berg@example.com", "."]]


def test_scripts_without_spaces_are_split_into_words() -> None:
    assert words("東京は日本の首都です。") == [["東京", "は", "日本", "の", "首都", "です", "。"]]


def test_blank_text_has_no_sentence() -> None:
    assert words("") == words(" \n\t\u3000 ") == []


def test_lone_surrogates_are_kept() -> None:
    assert words("a \ud83d b") == [["a", "\ud83d", "b"]]


@given(ANY_TEXT)
def test_tokens_are_exact_slices_in_order_and_cover_all_but_white_space(text: str) -> None:
    tokens = [token for sentence in sentences(text) for token in sentence]
    assert all(text[token.start : token.end] == token.text for token in tokens)
    edges = [0, *(edge for token in tokens for edge in (token.start, token.end)), len(text)]
    assert edges == sorted(edges)
    assert all(text[left:right].strip() == "" for left, right in zip(edges[::2], edges[1::2], strict=True))
