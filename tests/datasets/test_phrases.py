import pytest

from trigger_api.datasets.phrases import SENTENCES, WORDS, PhraseError, checked, file_name, others, prose


@pytest.mark.parametrize(
    ("word", "phrase"),
    [("activate", "activate"), ("  Hey   Jarvis ", "hey jarvis"), ("o'clock", "o'clock"), ("Café", "café")],
)
def test_phrases_are_tidied(word: str, phrase: str) -> None:
    assert checked(word) == phrase


@pytest.mark.parametrize(
    ("word", "phrase"),
    [
        ("Hey, Jarvis!", "hey jarvis"),
        ("R2 D2", "r2 d2"),
        ("-help", "help"),
        ("wake-up", "wake-up"),
        ("o\u2019clock", "o'clock"),
    ],
)
def test_punctuation_is_dropped(word: str, phrase: str) -> None:
    assert checked(word) == phrase


@pytest.mark.parametrize("word", ["", "   ", "42", "a", "go!", "---", "x" * 41])
def test_nonsense_is_refused(word: str) -> None:
    with pytest.raises(PhraseError):
        checked(word)


@pytest.mark.parametrize("word", ["привет", "日本語", "hey алекса"])
def test_other_alphabets_are_refused(word: str) -> None:
    with pytest.raises(PhraseError, match="not in Latin letters"):
        checked(word)


@pytest.mark.parametrize(("phrase", "name"), [("hey jarvis", "hey-jarvis"), ("o'clock", "oclock"), ("café", "cafe")])
def test_a_model_is_named_after_its_phrase(phrase: str, name: str) -> None:
    assert file_name(phrase) == name


def test_other_things_to_say_do_not_contain_the_word() -> None:
    assert len(WORDS) > 150
    assert len(SENTENCES) >= 30
    assert "coffee" not in others("coffee")
    assert not any(" the coast " in text for text in others("the coast"))
    assert len(others("activate")) == len(WORDS) + len(SENTENCES)


def test_there_is_running_text_to_read() -> None:
    texts = prose("variable")
    assert len(texts) > 500
    assert all(5 <= len(text.split()) <= 16 for text in texts)
    assert not any(" variable " in f" {text} " for text in texts)
    assert texts == prose("variable")
