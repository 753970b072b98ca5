import pytest

from trigger_api.tasks.entities.casing import CASINGS, WORD_SHAPES, Casing, casing, recased_shapes, word_shape


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


def test_a_shape_encodes_the_word_and_the_piece() -> None:
    assert word_shape("McDonald", "Donald") == CASINGS * Casing.MIXED + Casing.TITLE < WORD_SHAPES


def test_recased_shapes_are_those_of_the_recased_text() -> None:
    for word in ("Paris", "NATO", "McDonald", "it", "42", "-"):
        assert recased_shapes(upper=False)[word_shape(word, word)] == word_shape(word.lower(), word.lower())
        assert recased_shapes(upper=True)[word_shape(word, word)] == word_shape(word.upper(), word.upper())


def test_padding_stays_padding() -> None:
    assert recased_shapes(upper=False)[0] == recased_shapes(upper=True)[0] == 0
