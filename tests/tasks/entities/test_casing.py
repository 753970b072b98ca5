import pytest

from trigger_api.tasks.entities.casing import KINDS, SHAPES, Casing, casing, recased, shape


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("paris", Casing.LOWER),
        ("NATO", Casing.UPPER),
        ("Paris", Casing.TITLE),
        ("I", Casing.INITIAL),
        ("McDonald", Casing.MIXED),
        ("iPhone", Casing.MIXED),
        ("1999", Casing.DIGITS),
        ("...", Casing.OTHER),
        ("東京", Casing.OTHER),
        ("", Casing.OTHER),
    ],
)
def test_casing(text: str, kind: Casing) -> None:
    assert casing(text) is kind


def test_a_shape_tells_the_word_and_the_piece() -> None:
    assert shape("McDonald", "Donald") == KINDS * Casing.MIXED + Casing.TITLE < SHAPES


def test_small_letters_and_capitals_are_what_the_text_itself_would_have() -> None:
    for word in ("Paris", "NATO", "McDonald", "it", "42", "-"):
        assert recased(upper=False)[shape(word, word)] == shape(word.lower(), word.lower())
        assert recased(upper=True)[shape(word, word)] == shape(word.upper(), word.upper())


def test_padding_stays_padding() -> None:
    assert recased(upper=False)[0] == recased(upper=True)[0] == 0
